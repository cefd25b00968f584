// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Foresight and choice, for Python: `foresee`, `choose`, `near`, and `plan_many`.

#ifndef LOCDREAMER_ROS__CHOICES_HPP_
#define LOCDREAMER_ROS__CHOICES_HPP_

#include "steps.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "choice.hpp"

namespace locdreamer_ros
{

// foresee(network, slots, axes, mean, covariance, places, slot, rows; position, cross, ranges)
inline PyObject * step_foresee(PyObject *, PyObject * const * given, Py_ssize_t count)
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
  run(
    [&] {
      foresee(
        *net, static_cast<int>(slots), mean.data<double>(), covariance.data<double>(),
        places.data<double>(), slot.data<int64_t>(), rows.data<int64_t>(),
        static_cast<int>(few_rows), static_cast<int>(axes), position.data<double>(),
        cross.data<double>(), ranges.data<double>());
    });
  return answer(true);
}

template<int AXES>
inline bool choose_in(
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
inline PyObject * choose(PyObject *, PyObject * const * given, Py_ssize_t count)
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
  const bool done = run(
    [&] {
      return in_space(
        position.data<double>(), cross.data<double>(), ranges.data<double>(),
        weights.data<double>(), static_cast<int>(anchors), static_cast<int>(budget), sigma, most,
        clearly, best);
    });
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
inline PyObject * step_plan_many(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 1)) {return nullptr;}
  std::vector<int> said;
  const bool listed = each_tuple(
    given[0], PlanCall::ARGUMENTS, [&](PyObject * const * one) {
      const PlanCall call(one);
      if (call.good) {said.push_back(run([&] {return call.run();}));}
      return call.good;
    });
  return listed ? list_of(said) : nullptr;
}

// near(places (A, 3), position (D); rows (C,) of the nearest, increasing)
inline PyObject * near(PyObject *, PyObject * const * given, Py_ssize_t count)
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

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__CHOICES_HPP_
