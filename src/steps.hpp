// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Steps of the filter, for Python: `network`, `predict`, `update`, one by one and of many at once.

#ifndef LOCDREAMER_ROS__STEPS_HPP_
#define LOCDREAMER_ROS__STEPS_HPP_

#include "python.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "filter.hpp"
#include "update.hpp"

namespace locdreamer_ros
{

constexpr const char * NETWORK = "locdreamer_ros._compiled.network";

inline const Network * network_of(PyObject * capsule)
{
  return static_cast<const Network *>(PyCapsule_GetPointer(capsule, NETWORK));
}

// network(flat): weights and constants in the order of Network, matrices as (output, input).
inline PyObject * make_network(PyObject *, PyObject * flat)
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
inline PyObject * step_predict(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, PredictCall::ARGUMENTS)) {return nullptr;}
  const PredictCall call(given);
  return call.good ? answer(run([&] {return call.run();})) : nullptr;
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
    static thread_local Workspace work;
    update_ = std::make_unique<Update>(
      *net_, static_cast<int>(slots), mean_.data<double>(), covariance_.data<double>(), memory_,
      heard_, work);
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
inline PyObject * step_update(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, UpdateCall::ARGUMENTS)) {return nullptr;}
  UpdateCall call(given);
  return call.good() ? PyLong_FromLong(run([&] {return call.run();})) : nullptr;
}

// update_many(list of tuples, each what `update` takes): list of what it returns.
inline PyObject * step_update_many(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 1)) {return nullptr;}
  std::vector<int> said;
  const bool listed = each_tuple(
    given[0], UpdateCall::ARGUMENTS, [&](PyObject * const * one) {
      UpdateCall call(one);
      if (call.good()) {said.push_back(run([&] {return call.run();}));}
      return call.good();
    });
  return listed ? list_of(said) : nullptr;
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__STEPS_HPP_
