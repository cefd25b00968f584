// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// The zero-shot filter's step, its foresight and the choice of anchors, compiled. The same formulas
// in the same order as zero_shot/tracker.py, zero_shot/network.py, zero_shot/foresight.py and
// schedulers/subsets.py, which explain them and say the names; a test holds the two together.
//
// Every function returns whether it answered. Where something is not finite, not positive, not an
// array as expected, or an anchor is none of the site's, it returns False and has changed nothing:
// numpy then answers, or refuses, in its own way. The GIL is held throughout.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "choice.hpp"
#include "filter.hpp"
#include "snapshot.hpp"

namespace
{

using namespace locdreamer_ros;  // NOLINT

// A borrowed array. Not an array as asked for: `ok` is false, and no exception is set.
class Array
{
public:
  Array(PyObject * object, const char * kinds, int flags)
  {
    ok_ = PyObject_GetBuffer(object, &view_, PyBUF_FORMAT | flags) == 0;
    if (!ok_) {
      PyErr_Clear();
    } else {
      held_ = true;
      ok_ = view_.format && std::strlen(view_.format) == 1 && std::strchr(kinds, *view_.format) &&
        view_.itemsize == (*kinds == 'B' ? 1 : 8);
    }
  }
  ~Array() {if (held_) {PyBuffer_Release(&view_);}}
  Array(const Array &) = delete;
  Array & operator=(const Array &) = delete;

  bool ok() const {return ok_;}
  // Whether it has as many elements.
  bool holds(size_t count) const
  {
    return ok_ && static_cast<size_t>(view_.len) == count * view_.itemsize;
  }
  int64_t count() const {return view_.len / view_.itemsize;}
  template<class T> T * data() const {return static_cast<T *>(view_.buf);}
  // Element of a one-dimensional array with any stride.
  template<class T> T at(int64_t i) const
  {
    T value;
    std::memcpy(&value, static_cast<char *>(view_.buf) + i * view_.strides[0], sizeof value);
    return value;
  }
  bool is_line(int64_t count) const {return ok_ && view_.ndim == 1 && view_.shape[0] == count;}

private:
  Py_buffer view_;
  bool ok_ = false, held_ = false;
};

struct In : Array
{
  explicit In(PyObject * object) : Array(object, "d", PyBUF_C_CONTIGUOUS) {}
};
struct Out : Array
{
  explicit Out(PyObject * object) : Array(object, "d", PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) {}
};
struct Indices : Array
{
  explicit Indices(PyObject * object, int flags = 0)
  : Array(object, "lq", PyBUF_C_CONTIGUOUS | flags) {}
};
struct Line : Array
{
  Line(PyObject * object, const char * kinds) : Array(object, kinds, PyBUF_STRIDES) {}
};

constexpr const char * NETWORK = "locdreamer_ros._compiled.network";

const Network * network_of(PyObject * capsule)
{
  return static_cast<const Network *>(PyCapsule_GetPointer(capsule, NETWORK));
}

bool arguments(Py_ssize_t given, Py_ssize_t expected)
{
  if (given == expected) {return true;}
  PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", expected, given);
  return false;
}

bool number(PyObject * object, double & value)
{
  value = PyFloat_AsDouble(object);
  return !(value == -1.0 && PyErr_Occurred());
}

PyObject * answer(bool done)
{
  return PyBool_FromLong(done);
}

// Call with the members of each tuple of a list; false, and an exception, where it is none, a
// tuple has another length, or the function says false.
template<class Function>
bool each_tuple(PyObject * list, Py_ssize_t length, Function function)
{
  if (!PyList_Check(list)) {
    PyErr_SetString(PyExc_TypeError, "expected a list of tuples");
    return false;
  }
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
    PyObject * tuple = PyList_GET_ITEM(list, i);
    if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) != length) {
      PyErr_Format(PyExc_TypeError, "expected tuples of %zd arguments", length);
      return false;
    }
    if (!function(&PyTuple_GET_ITEM(tuple, 0))) {return false;}
  }
  return true;
}

PyObject * list_of(const std::vector<int> & values)
{
  PyObject * list = PyList_New(values.size());
  for (size_t i = 0; list && i < values.size(); i++) {
    PyList_SET_ITEM(list, i, PyLong_FromLong(values[i]));
  }
  return list;
}

// network(flat): weights and constants in the order of Network, matrices as (output, input).
PyObject * make_network(PyObject *, PyObject * flat)
{
  In given(flat);
  if (!given.holds(WEIGHTS)) {
    PyErr_SetString(PyExc_ValueError, "not the weights this was compiled for");
    return nullptr;
  }
  auto net = std::make_unique<Network>();
  const double * next = given.data<double>();
  auto matrix = [&](double * to, int inputs, int outputs) {
      for (int j = 0; j < outputs; j++) {
        for (int i = 0; i < inputs; i++) {to[i * outputs + j] = *next++;}
      }
    };
  auto plain = [&](double * to, int count) {
      std::copy(next, next + count, to);
      next += count;
    };
  matrix(net->token[0].at, SEEN, WIDTH);
  plain(net->token_bias.at, WIDTH);
  matrix(net->pool[0].at, 2 * WIDTH, WIDTH);
  plain(net->pool_bias.at, WIDTH);
  matrix(net->mix[0].at, 2 * WIDTH, WIDTH);
  plain(net->mix_bias.at, WIDTH);
  plain(net->range_head[0].at, 3 * WIDTH);
  plain(net->range_bias, 3);
  plain(net->motion_head[0].at, 2 * WIDTH);
  plain(net->motion_bias, 2);
  matrix(&net->climate[0][0], CONTEXT + 2, HIDDEN);
  plain(net->climate_bias, HIDDEN);
  plain(&net->climate_head[0][0], 4 * HIDDEN);
  plain(net->climate_head_bias, 4);
  matrix(&net->trust[0][0], CONTEXT + 1, HIDDEN);
  plain(net->trust_bias, HIDDEN);
  plain(net->trust_head, HIDDEN);
  for (double * value : {
      &net->trust_head_bias, &net->acceleration, &net->vertical, &net->common_walk, &net->own,
      &net->own_time, &net->local, &net->local_time, &net->local_way, &net->sigma, &net->pace[0],
      &net->pace[1], &net->pace[2], &net->silent, &net->floor, &net->most_ahead})
  {
    *value = *next++;
  }
  PyObject * capsule = PyCapsule_New(
    net.get(), NETWORK, [](PyObject * self) {
      delete static_cast<Network *>(PyCapsule_GetPointer(self, NETWORK));
    });
  if (capsule) {net.release();}
  return capsule;
}

// One prediction: its arguments, borrowed while it lives.
struct PredictCall
{
  static constexpr int ARGUMENTS = 13;

  explicit PredictCall(PyObject * const * given)
  : net(network_of(given[0])), mean(given[4]), covariance(given[5]), age(given[6]),
    context(given[7]), next(given[8]), next_covariance(given[9]), shown(given[10]),
    shown_covariance(given[11]), next_age(given[12]), climbs(given[2] == Py_True)
  {
    good = net && number(given[3], dt);
    axes = good ? PyLong_AsLong(given[1]) : 0;
    good = good && !PyErr_Occurred();
  }

  bool run() const
  {
    if (!age.ok() || age.count() < 1 || (axes != 2 && axes != 3)) {return false;}
    const size_t slots = age.count(), size = FIRST + 2 * slots;
    if (!mean.holds(size) || !covariance.holds(size * size) || !context.holds(CONTEXT) ||
      !next.holds(size) || !next_covariance.holds(size * size) || !shown.holds(2 * axes) ||
      !shown_covariance.holds(4 * axes * axes) || !next_age.holds(slots))
    {
      return false;
    }
    if (!predict(
        *net, climbs, dt, static_cast<int>(slots), mean.data<double>(),
        covariance.data<double>(), context.data<double>(), next.data<double>(),
        next_covariance.data<double>()) ||
      !publish(
        *net, context.data<double>(), next.data<double>(), next_covariance.data<double>(),
        static_cast<int>(size), static_cast<int>(axes), shown.data<double>(),
        shown_covariance.data<double>()))
    {
      return false;
    }
    for (size_t i = 0; i < slots; i++) {
      next_age.data<double>()[i] = std::min(age.data<double>()[i] + dt, net->silent);
    }
    return true;
  }

  const Network * net;
  const In mean, covariance, age, context;
  const Out next, next_covariance, shown, shown_covariance, next_age;
  const bool climbs;
  double dt = 0.0;
  int64_t axes = 0;
  bool good;
};

// predict(network, axes, climbs, dt, mean, covariance, age, context;
//         new mean, new covariance, shown mean, shown covariance, new age)
PyObject * step_predict(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, PredictCall::ARGUMENTS)) {return nullptr;}
  const PredictCall call(given);
  return call.good ? answer(call.run()) : nullptr;
}

// One update: its arguments, borrowed while it lives. axes 0: not as expected.
class UpdateCall
{
public:
  static constexpr int ARGUMENTS = 22;

  // Numbers that are none raise: see `good`.
  explicit UpdateCall(PyObject * const * given)
  : net_(network_of(given[0])), places_(given[5]), slot_(given[6]), mean_(given[7]),
    covariance_(given[8]), age_(given[9]), surprise_(given[10]), context_(given[11]),
    anchor_(given[12], "lq"), value_(given[13], "d"), stamp_(given[14], "d"),
    status_(given[15], "B"), blocked_(given[16], "d"), variance_(given[17], "d"), next_(given[18]),
    next_covariance_(given[19]), shown_(given[20]), shown_covariance_(given[21])
  {
    good_ = net_ && number(given[2], time_) && number(given[3], memory_.since) &&
      number(given[4], memory_.updates);
    axes_ = good_ ? PyLong_AsLong(given[1]) : 0;
    good_ = good_ && !PyErr_Occurred();
  }

  bool good() const {return good_;}

  // Look at the arrays; what there is to say already: ranges used, 0, -1 or -2; 1: to be run.
  int begin()
  {
    if (!age_.ok() || age_.count() < 1 || !slot_.ok() || !anchor_.ok() ||
      (axes_ != 2 && axes_ != 3))
    {
      return -1;
    }
    const size_t slots = age_.count(), size = FIRST + 2 * slots;
    const int64_t anchors = slot_.count(), ranges = anchor_.count();
    if (!places_.holds(anchors * SPACE) || !mean_.holds(size) || !covariance_.holds(size * size) ||
      !surprise_.holds(slots) || !context_.holds(CONTEXT) || !anchor_.is_line(ranges) ||
      !value_.is_line(ranges) || !stamp_.is_line(ranges) || !status_.is_line(ranges) ||
      !blocked_.is_line(ranges) || !variance_.is_line(ranges) || !next_.holds(size) || !next_covariance_.holds(size * size) ||
      !shown_.holds(2 * axes_) || !shown_covariance_.holds(4 * axes_ * axes_))
    {
      return -1;
    }
    bool stranger = false;
    for (int64_t i = 0; i < ranges; i++) {
      const double metres = value_.at<double>(i), ahead = stamp_.at<double>(i) - time_;
      const int64_t row = anchor_.at<int64_t>(i);
      if (status_.at<uint8_t>(i) != 0 || !std::isfinite(metres) || !(metres > 0.0) ||
        !(std::fabs(ahead) <= net_->most_ahead))
      {
        continue;
      }
      if (row < 0 || row >= anchors) {return -1;}
      const int64_t where = slot_.data<int64_t>()[row];
      if (where < 0 || where >= static_cast<int64_t>(slots)) {return -1;}
      stranger = stranger || where == 0;
      heard_.value.push_back(metres);
      heard_.ahead.push_back(ahead);
      heard_.blocked.push_back(blocked_.at<double>(i));
      const double variance = variance_.at<double>(i);
      heard_.stated.push_back(variance > 0.0 ? std::sqrt(variance) : 0.0);
      heard_.slot.push_back(static_cast<int>(where));
      const double * place = places_.data<double>() + row * SPACE;
      heard_.place.insert(heard_.place.end(), place, place + SPACE);
    }
    if (heard_.count() == 0) {return 0;}
    if (stranger) {return -2;}
    memory_.age = age_.data<double>();
    memory_.surprise = surprise_.data<double>();
    memory_.context = context_.data<double>();
    update_ = std::make_unique<Update>(
      *net_, static_cast<int>(slots), mean_.data<double>(), covariance_.data<double>(), memory_,
      heard_);
    return 1;
  }

  // Take the ranges in: how many were used, -1 or -2, as `update` says.
  int run()
  {
    const int said = begin();
    return said == 1 ? end() : said;
  }

private:
  // Run it: how many ranges were used, or -1.
  int end()
  {
    if (!update_->run(next_.data<double>(), next_covariance_.data<double>())) {return -1;}
    double news[CONTEXT];
    Numbers surprises;
    update_->remember(
      next_.data<double>(), next_covariance_.data<double>(), news, surprises);
    if (!publish(
        *net_, news, next_.data<double>(), next_covariance_.data<double>(),
        static_cast<int>(next_.count()), static_cast<int>(axes_), shown_.data<double>(),
        shown_covariance_.data<double>()))
    {
      return -1;
    }
    std::copy(news, news + CONTEXT, memory_.context);
    for (int k = 0; k < heard_.count(); k++) {
      memory_.surprise[heard_.slot[k]] = surprises[k];
      memory_.age[heard_.slot[k]] = 0.0;
    }
    return heard_.count();
  }

  const Network * net_;
  const In places_;
  const Indices slot_;
  const In mean_, covariance_;
  const Out age_, surprise_, context_;
  const Line anchor_, value_, stamp_, status_, blocked_, variance_;
  const Out next_, next_covariance_, shown_, shown_covariance_;
  double time_ = 0.0;
  Memory memory_{nullptr, nullptr, nullptr, 0.0, 0.0};
  int64_t axes_ = 0;
  bool good_ = false;
  Heard heard_;
  std::unique_ptr<Update> update_;
};

// update(network, axes, time, since, updates, places, slot, mean, covariance, age, surprise,
//        context, anchor, value, stamp, status, blocked, variance;
//        new mean, new covariance, shown mean, shown covariance)
// age, surprise and context change in place. Returns how many ranges were used, -1: numpy's turn,
// -2: an anchor is heard for the first time.
PyObject * step_update(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, UpdateCall::ARGUMENTS)) {return nullptr;}
  UpdateCall call(given);
  return call.good() ? PyLong_FromLong(call.run()) : nullptr;
}

// update_many(list of tuples, each what `update` takes): list of what it returns.
PyObject * step_update_many(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 1)) {return nullptr;}
  std::vector<int> said;
  const bool listed = each_tuple(
    given[0], UpdateCall::ARGUMENTS, [&](PyObject * const * one) {
      UpdateCall call(one);
      if (call.good()) {said.push_back(call.run());}
      return call.good();
    });
  return listed ? list_of(said) : nullptr;
}

// foresee(network, slots, axes, mean, covariance, places, slot, rows; position, cross, ranges)
PyObject * step_foresee(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 11)) {return nullptr;}
  const Network * net = network_of(given[0]);
  if (!net) {return nullptr;}
  const int64_t slots = PyLong_AsLong(given[1]), axes = PyLong_AsLong(given[2]);
  if (PyErr_Occurred()) {return nullptr;}
  const In mean(given[3]), covariance(given[4]), places(given[5]);
  const Indices slot(given[6]), rows(given[7]);
  const Out position(given[8]), cross(given[9]), ranges(given[10]);
  if (!slot.ok() || !rows.ok() || slots < 1 || (axes != 2 && axes != 3)) {return answer(false);}
  const size_t size = FIRST + 2 * slots, few_rows = rows.count();
  const int64_t anchors = slot.count();
  if (!mean.holds(size) || !covariance.holds(size * size) || !places.holds(anchors * SPACE) ||
    !position.holds(axes * axes) || !cross.holds(few_rows * axes) ||
    !ranges.holds(few_rows * few_rows))
  {
    return answer(false);
  }
  for (size_t k = 0; k < few_rows; k++) {
    const int64_t row = rows.data<int64_t>()[k];
    if (row < 0 || row >= anchors) {return answer(false);}
    const int64_t where = slot.data<int64_t>()[row];
    if (where < 0 || where >= slots) {return answer(false);}
  }
  foresee(
    *net, static_cast<int>(slots), mean.data<double>(), covariance.data<double>(),
    places.data<double>(), slot.data<int64_t>(), rows.data<int64_t>(), static_cast<int>(few_rows),
    static_cast<int>(axes), position.data<double>(), cross.data<double>(), ranges.data<double>());
  return answer(true);
}

template<int AXES>
bool choose_in(
  const double * position, const double * cross, const double * ranges, const double * weights,
  int anchors, int budget, double sigma, double most, double clearly, std::vector<int> & best)
{
  double present = 0.0;
  for (int i = 0; i < AXES; i++) {present += weights[i] * position[i * (AXES + 1)];}
  if (!std::isfinite(present)) {return false;}
  Choice<AXES> choice(cross, ranges, weights, anchors, budget, sigma);
  return few(anchors, budget, most) ? try_all(choice, anchors, budget, best) :
         exchange(choice, anchors, budget, present, clearly, best);
}

// choose(position, cross, ranges, weights of the axes, budget, sigma, most subsets, clearly;
//        rows (budget,))
PyObject * choose(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  double sigma = 0.0, most = 0.0, clearly = 0.0;
  if (!arguments(count, 9)) {return nullptr;}
  const int64_t budget = PyLong_AsLong(given[4]);
  if (PyErr_Occurred() || !number(given[5], sigma) || !number(given[6], most) ||
    !number(given[7], clearly))
  {
    return nullptr;
  }
  const In position(given[0]), cross(given[1]), ranges(given[2]), weights(given[3]);
  const Indices out(given[8], PyBUF_WRITABLE);
  if (!position.ok() || !cross.ok() || !ranges.ok() || budget < 1 || !out.holds(budget)) {
    return answer(false);
  }
  const int64_t axes = position.holds(4) ? 2 : position.holds(9) ? 3 : 0;
  const int64_t anchors = axes ? cross.count() / axes : 0;
  if (!axes || budget >= anchors || !(clearly >= 0.0) || !cross.holds(anchors * axes) ||
    !weights.holds(axes) ||
    !ranges.holds(anchors * anchors))
  {
    return answer(false);
  }
  std::vector<int> best;
  const auto in_space = axes == 2 ? choose_in<2> : choose_in<3>;
  const bool done = in_space(
    position.data<double>(), cross.data<double>(), ranges.data<double>(),
    weights.data<double>(), static_cast<int>(anchors), static_cast<int>(budget), sigma, most, clearly, best);
  if (!done) {return answer(false);}
  std::copy(best.begin(), best.end(), out.data<int64_t>());
  return answer(true);
}

// A prediction, and whom to ask after it.
struct PlanCall
{
  static constexpr int ARGUMENTS = PredictCall::ARGUMENTS + 8;

  explicit PlanCall(PyObject * const * given)
  : prediction(given), places(given[13]), slot(given[14]), weights(given[15]),
    rows(given[20], PyBUF_WRITABLE)
  {
    good = prediction.good && number(given[17], sigma) && number(given[18], most) &&
      number(given[19], clearly);
    budget = good ? PyLong_AsLong(given[16]) : 0;
    good = good && !PyErr_Occurred();
  }

  // 0: nothing, numpy's turn; 1: predicted; 2: chosen too.
  int run() const
  {
    if (!prediction.run()) {return 0;}
    const int64_t anchors = slot.ok() ? slot.count() : 0, axes = prediction.axes;
    const int64_t slots = prediction.age.count();
    if (budget < 1 || budget >= anchors || anchors > MOST_ANCHORS || !(clearly >= 0.0) ||
      !places.holds(anchors * SPACE) || !weights.holds(axes) || !rows.holds(budget))
    {
      return 1;
    }
    int64_t everybody[MOST_ANCHORS];
    for (int64_t i = 0; i < anchors; i++) {
      everybody[i] = i;
      const int64_t where = slot.data<int64_t>()[i];
      if (where < 0 || where >= slots) {return 1;}
    }
    Numbers position(axes * axes), cross(anchors * axes), ranges(anchors * anchors);
    foresee(
      *prediction.net, static_cast<int>(slots), prediction.next.data<double>(),
      prediction.next_covariance.data<double>(), places.data<double>(), slot.data<int64_t>(),
      everybody, static_cast<int>(anchors), static_cast<int>(axes), position.data(), cross.data(),
      ranges.data());
    std::vector<int> best;
    const auto in_space = axes == 2 ? choose_in<2> : choose_in<3>;
    if (!in_space(
        position.data(), cross.data(), ranges.data(), weights.data<double>(),
        static_cast<int>(anchors), static_cast<int>(budget), sigma, most, clearly, best))
    {
      return 1;
    }
    std::copy(best.begin(), best.end(), rows.data<int64_t>());
    return 2;
  }

  static constexpr int64_t MOST_ANCHORS = 64;
  const PredictCall prediction;
  const In places;
  const Indices slot;
  const In weights;
  const Indices rows;
  double sigma = 0.0, most = 0.0, clearly = 0.0;
  int64_t budget = 0;
  bool good;
};

// plan_many(list of tuples, each what `predict` takes, then places, slot, weights of the axes,
//           budget, sigma, most subsets, clearly; rows (budget,)):
// of each 0: numpy's turn; 1: predicted; 2: and rows chosen among all anchors.
PyObject * step_plan_many(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 1)) {return nullptr;}
  std::vector<int> said;
  const bool listed = each_tuple(
    given[0], PlanCall::ARGUMENTS, [&](PyObject * const * one) {
      const PlanCall call(one);
      if (call.good) {said.push_back(call.run());}
      return call.good;
    });
  return listed ? list_of(said) : nullptr;
}

// near(places (A, 3), position (D); rows (C,) of the nearest, increasing)
PyObject * near(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 3)) {return nullptr;}
  const In places(given[0]), position(given[1]);
  const Indices out(given[2], PyBUF_WRITABLE);
  if (!places.ok() || !position.ok() || !out.ok()) {return answer(false);}
  const int64_t anchors = places.count() / SPACE, wanted = out.count(), axes = position.count();
  if (axes < 1 || axes > SPACE || wanted < 1 || wanted >= anchors ||
    !finite(position.data<double>(), axes))
  {
    return answer(false);
  }
  std::vector<std::pair<double, int64_t>> away(anchors);
  for (int64_t i = 0; i < anchors; i++) {
    double sum = 0.0;
    for (int64_t j = 0; j < axes; j++) {
      sum += square(places.data<double>()[i * SPACE + j] - position.data<double>()[j]);
    }
    if (!std::isfinite(sum)) {return answer(false);}
    away[i] = {sum, i};
  }
  std::nth_element(away.begin(), away.begin() + wanted, away.end());
  for (int64_t i = 0; i < wanted; i++) {out.data<int64_t>()[i] = away[i].second;}
  std::sort(out.data<int64_t>(), out.data<int64_t>() + wanted);
  return answer(true);
}

// gaps(places (A, 3), height, floor, anchor (N,), value (N,), at (N, D); gap (N,)): ranges less the
// slant distances from where the tag was at each.
PyObject * gaps(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  double height = 0.0, floor = 0.0;
  if (!arguments(count, 7) || !number(given[1], height) || !number(given[2], floor)) {
    return nullptr;
  }
  const In places(given[0]), at(given[5]);
  const Line anchor(given[3], "lq"), value(given[4], "d");
  const Out gap(given[6]);
  if (!places.ok() || !at.ok() || !gap.ok() || gap.count() < 1) {return answer(false);}
  const int64_t ranges = gap.count(), anchors = places.count() / SPACE;
  const int64_t axes = at.count() / ranges;
  if ((axes != 2 && axes != SPACE) || !at.holds(ranges * axes) || !anchor.is_line(ranges) ||
    !value.is_line(ranges))
  {
    return answer(false);
  }
  for (int64_t i = 0; i < ranges; i++) {
    const int64_t row = anchor.at<int64_t>(i);
    if (row < 0 || row >= anchors) {return answer(false);}
    double offset[SPACE] = {0.0, 0.0, height}, unused[SPACE];
    std::copy_n(at.data<double>() + i * axes, axes, offset);
    for (int j = 0; j < SPACE; j++) {offset[j] -= places.data<double>()[row * SPACE + j];}
    gap.data<double>()[i] = value.at<double>(i) - slant(offset, floor, unused);
  }
  return answer(finite(gap.data<double>(), ranges));
}

// all_near(places (A, 3), height, floor, anchor, value, stamp (N,), time, mean (2D), covariance
//          (2D, 2D), offset, low, high): whether all ranges are within these gates m and 3 sigma.
PyObject * all_near(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  double height = 0.0, floor = 0.0, time = 0.0, common = 0.0, low = 0.0, high = 0.0;
  if (!arguments(count, 12) || !number(given[1], height) || !number(given[2], floor) ||
    !number(given[6], time) || !number(given[9], common) || !number(given[10], low) ||
    !number(given[11], high))
  {
    return nullptr;
  }
  const In places(given[0]), mean(given[7]), covariance(given[8]);
  const Line anchor(given[3], "lq"), value(given[4], "d"), stamp(given[5], "d");
  const int64_t axes = mean.holds(4) ? 2 : mean.holds(6) ? SPACE : 0;
  if (!places.ok() || !axes || !covariance.holds(4 * axes * axes) || !value.ok()) {
    return answer(false);
  }
  const int64_t ranges = value.count(), anchors = places.count() / SPACE;
  if (!anchor.is_line(ranges) || !value.is_line(ranges) || !stamp.is_line(ranges)) {
    return answer(false);
  }
  double variance = 0.0;
  for (int i = 0; i < axes; i++) {variance += covariance.data<double>()[i * (2 * axes + 1)];}
  const double sigmas = 3.0 * std::sqrt(std::max(variance, 0.0));
  for (int64_t i = 0; i < ranges; i++) {
    const int64_t row = anchor.at<int64_t>(i);
    if (row < 0 || row >= anchors) {return answer(false);}
    const double ahead = stamp.at<double>(i) - time, * state = mean.data<double>();
    double offset[SPACE] = {0.0, 0.0, height}, unused[SPACE];
    for (int j = 0; j < axes; j++) {offset[j] = state[j] + ahead * state[axes + j];}
    for (int j = 0; j < SPACE; j++) {offset[j] -= places.data<double>()[row * SPACE + j];}
    const double off = value.at<double>(i) - slant(offset, floor, unused) - common;
    if (!(off < high + sigmas && off > low - sigmas)) {return answer(false);}
  }
  return answer(true);
}

// least_cost(residual (N,), weight (N,), scale (N,), scale of the offset): cost and offset, or None.
PyObject * cost_of(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  double scale = 0.0, offset = 0.0;
  if (!arguments(count, 4) || !number(given[3], scale)) {return nullptr;}
  const In residual(given[0]), weight(given[1]), scales(given[2]);
  if (!residual.ok() || residual.count() < 1 || !weight.holds(residual.count()) ||
    !scales.holds(residual.count()) || !finite(residual.data<double>(), residual.count()))
  {
    Py_RETURN_NONE;
  }
  const double cost = least_cost(
    residual.data<double>(), weight.data<double>(), scales.data<double>(),
    static_cast<int>(residual.count()), scale, offset);
  return Py_BuildValue("dd", cost, offset);
}

// medians(anchor (N,), value (N,)): dict of each anchor's median, anchors increasing, or None.
PyObject * medians(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 2)) {return nullptr;}
  const Indices anchor(given[0]);
  const In value(given[1]);
  if (!anchor.ok() || !value.holds(anchor.count()) ||
    !finite(value.data<double>(), anchor.count()))
  {
    Py_RETURN_NONE;
  }
  std::vector<std::pair<int64_t, double>> sorted(anchor.count());
  for (size_t i = 0; i < sorted.size(); i++) {
    sorted[i] = {anchor.data<int64_t>()[i], value.data<double>()[i]};
  }
  std::sort(sorted.begin(), sorted.end());
  PyObject * found = PyDict_New();
  for (size_t begin = 0, end; found && begin < sorted.size(); begin = end) {
    for (end = begin; end < sorted.size() && sorted[end].first == sorted[begin].first; end++) {}
    const size_t middle = (begin + end) / 2;
    const bool odd = (end - begin) % 2;
    const double median = odd ? sorted[middle].second :
      (sorted[middle - 1].second + sorted[middle].second) / 2.0;
    PyObject * key = PyLong_FromLongLong(sorted[begin].first);
    PyObject * number = PyFloat_FromDouble(median);
    if (!key || !number || PyDict_SetItem(found, key, number) < 0) {Py_CLEAR(found);}
    Py_XDECREF(key);
    Py_XDECREF(number);
  }
  return found;
}

// explain(places (A, 3), height, floor, age, anchor, value, weight (N,), seeds (M, D), still, shared,
//         constants (8), steps, levels;
//         states (P, 2D + 1), costs (P,), covariances (P, D, D), residuals (P, N)): how many, or -1.
// The constants: scale, its growth with age, scales of offset, speed and height, m apart, how many
// to polish, and how many of the nearest anchors' circles to intersect.
PyObject * explain(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  double height = 0.0, floor = 0.0;
  if (!arguments(count, 17) || !number(given[1], height) || !number(given[2], floor)) {
    return nullptr;
  }
  const In places(given[0]), age(given[3]), value(given[5]), weight(given[6]), seeds(given[7]);
  const Indices anchor(given[4]);
  const In constants(given[10]), steps(given[11]), levels(given[12]);
  const Out states(given[13]), costs(given[14]), covariances(given[15]), residuals(given[16]);
  if (!places.ok() || !age.ok() || !seeds.ok() || !constants.holds(8) || !steps.ok() ||
    !levels.ok() || !costs.ok())
  {
    return PyLong_FromLong(-1);
  }
  const int64_t ranges = age.count(), anchors = places.count() / SPACE;
  const double * fixed = constants.data<double>();
  const int64_t polished = costs.count();
  const int64_t size = polished ? states.count() / polished : 0, axes = (size - 1) / 2;
  if (ranges < 1 || ranges > 100000 || !(fixed[6] == polished) || !(fixed[7] >= 2.0) ||
    !(fixed[7] <= 1000.0) || (axes != 2 && axes != SPACE) ||
    !states.holds(polished * (2 * axes + 1)) || !anchor.holds(ranges) || !value.holds(ranges) ||
    !weight.holds(ranges) || seeds.count() % axes != 0 ||
    !covariances.holds(polished * axes * axes) || !residuals.holds(polished * ranges) ||
    !finite(age.data<double>(), ranges) || !finite(value.data<double>(), ranges))
  {
    return PyLong_FromLong(-1);
  }
  for (int64_t i = 0; i < ranges; i++) {
    const int64_t row = anchor.data<int64_t>()[i];
    if (row < 0 || row >= anchors) {return PyLong_FromLong(-1);}
  }
  Scales scales{fixed[0], fixed[1], fixed[2], fixed[3], fixed[4], fixed[5],
    static_cast<int>(fixed[6]), static_cast<int>(fixed[7]), {}, {}};
  scales.steps.assign(steps.data<double>(), steps.data<double>() + steps.count());
  scales.levels.assign(levels.data<double>(), levels.data<double>() + levels.count());
  const Window window{
    age.data<double>(), value.data<double>(), weight.data<double>(), places.data<double>(),
    anchor.data<int64_t>(), static_cast<int>(ranges), static_cast<int>(axes), height};
  Explanation explanation(window, scales, given[8] == Py_True, given[9] == Py_True, floor);
  explanation.candidates(seeds.data<double>(), static_cast<int>(seeds.count() / axes));
  const int found = explanation.polish(
    states.data<double>(), costs.data<double>(), covariances.data<double>(),
    residuals.data<double>());
  return PyLong_FromLong(found);
}

// C++'s exceptions (no memory) end here.
template<PyObject * (*function)(PyObject *, PyObject * const *, Py_ssize_t)>
PyObject * guarded(PyObject * self, PyObject * const * given, Py_ssize_t count)
{
  try {
    return function(self, given, count);
  } catch (const std::exception &) {
    return PyErr_NoMemory();
  }
}

template<PyObject * (*function)(PyObject *, PyObject * const *, Py_ssize_t)>
PyCFunction quick()
{
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(guarded<function>));
}

PyMethodDef methods[] = {
  {"network", make_network, METH_O, "Weights and constants as the other functions take them."},
  {"predict", quick<step_predict>(), METH_FASTCALL, "Move the state ahead."},
  {"update", quick<step_update>(), METH_FASTCALL, "Take ranges in."},
  {"plan_many", quick<step_plan_many>(), METH_FASTCALL, "Predict several filters, and choose."},
  {"update_many", quick<step_update_many>(), METH_FASTCALL, "The same for several filters."},
  {"foresee", quick<step_foresee>(), METH_FASTCALL, "What ranges not asked yet would say."},
  {"choose", quick<choose>(), METH_FASTCALL, "The subset that leaves the least variance."},
  {"near", quick<near>(), METH_FASTCALL, "The nearest anchors."},
  {"gaps", quick<gaps>(), METH_FASTCALL, "Ranges less the distances expected."},
  {"all_near", quick<all_near>(), METH_FASTCALL, "Whether ranges are near what is expected."},
  {"least_cost", quick<cost_of>(), METH_FASTCALL, "Cost of residuals over a common offset."},
  {"medians", quick<medians>(), METH_FASTCALL, "The median of each anchor's values."},
  {"explain", quick<explain>(), METH_FASTCALL, "Places that explain a window of ranges."},
  {nullptr, nullptr, 0, nullptr},
};

PyModuleDef module = {
  PyModuleDef_HEAD_INIT, "_compiled", "The step of the zero-shot filter, compiled.", -1, methods,
  nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__compiled()
{
  PyObject * made = PyModule_Create(&module);
  // Raised with every change of what goes in or comes out: locdreamer_ros/compiled.py has the same.
  if (made && (PyModule_AddIntConstant(made, "INTERFACE", 4) < 0 ||
    PyModule_AddIntConstant(made, "WATCH", 2) < 0 ||
    PyModule_AddIntConstant(made, "TOGETHER", 2) < 0))
  {
    Py_DECREF(made);
    return nullptr;
  }
  return made;
}
