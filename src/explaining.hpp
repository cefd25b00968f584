// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// The places that explain a window, for Python and for a turn of the loop.

#ifndef LOCDREAMER_ROS__EXPLAINING_HPP_
#define LOCDREAMER_ROS__EXPLAINING_HPP_

#include "python.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "snapshot.hpp"
#include "watching.hpp"

namespace locdreamer_ros
{

// FOR_KERNEL of integrity/snapshot.py, borrowed while it lives: constants (8,), steps, levels.
// The constants: scale, its growth with age, scales of offset, speed and height, m apart, how many
// to polish, and how many of the nearest anchors' circles to intersect.
struct Searching
{
  explicit Searching(PyObject * const * given)
  : constants(given[0]), steps(given[1]), levels(given[2]) {}

  bool ok() const
  {
    const auto is_some = [](double number) {return number >= 1.0 && number <= 1000.0;};
    return constants.holds(8) && steps.ok() && levels.ok() && is_some(constants.data<double>()[6]) &&
           is_some(constants.data<double>()[7]);
  }

  Scales scales() const
  {
    const double * c = constants.data<double>(), * s = steps.data<double>(),
      * l = levels.data<double>();
    return {c[0], c[1], c[2], c[3], c[4], c[5], static_cast<int>(c[6]), static_cast<int>(c[7]),
      Numbers(s, s + steps.count()), Numbers(l, l + levels.count())};
  }

  const In constants, steps, levels;
};

// Where explanations go: states (P, 2D + 1), costs (P,), covariances (P, D, D), residuals (P, N).
struct Explained
{
  double * states, * costs, * covariances, * residuals;
};

// How many there are, -1: numpy's turn; seeds (count, D): further candidates.
inline int explained(
  const Window & window, const Scales & scales, double floor, const double * seeds, int count,
  bool still, bool shared, const Explained & to)
{
  const auto look = [&](auto && explanation, const auto & run) {
      explanation.candidates(seeds, count);
      return run(
        [&] {return explanation.polish(to.states, to.costs, to.covariances, to.residuals);});
    };
  const auto in_space = [&](auto axes) {
      constexpr int D = decltype(axes)::value;
      const auto in_fours = [](const auto & work) {return run_alike(work);};
      const auto in_eights = [](const auto & work) {return run_alike_in_eights(work);};
      return EIGHTS_ALIKE ?
             look(Explanation<D, Eight>(window, scales, still, shared, floor), in_eights) :
             look(Explanation<D, Four>(window, scales, still, shared, floor), in_fours);
    };
  return window.axes == 2 ? in_space(std::integral_constant<int, 2>()) :
         in_space(std::integral_constant<int, SPACE>());
}

// explain(places (A, 3), height, floor, age, anchor, value, weight (N,), seeds (M, D), still, shared,
//         `Searching`; `Explained`): how many, or -1.
inline PyObject * explain(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  double height = 0.0, floor = 0.0;
  if (!arguments(count, 17) || !number(given[1], height) || !number(given[2], floor)) {
    return nullptr;
  }
  const In places(given[0]), age(given[3]), value(given[5]), weight(given[6]), seeds(given[7]);
  const Indices anchor(given[4]);
  const Searching searching(given + 10);
  const Out states(given[13]), costs(given[14]), covariances(given[15]), residuals(given[16]);
  if (!places.ok() || !age.ok() || !seeds.ok() || !searching.ok() || !costs.ok()) {
    return PyLong_FromLong(-1);
  }
  const Scales scales = searching.scales();
  const int64_t ranges = age.count(), anchors = places.count() / SPACE;
  const int64_t polished = costs.count();
  const int64_t size = polished ? states.count() / polished : 0, axes = (size - 1) / 2;
  if (ranges < 1 || ranges > 100000 || scales.polished != polished ||
    (axes != 2 && axes != SPACE) ||
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
  const Window window{
    age.data<double>(), value.data<double>(), weight.data<double>(), places.data<double>(),
    anchor.data<int64_t>(), static_cast<int>(ranges), static_cast<int>(axes), height};
  const Explained to{
    states.data<double>(), costs.data<double>(), covariances.data<double>(),
    residuals.data<double>()};
  return PyLong_FromLong(
    explained(
      window, scales, floor, seeds.data<double>(), static_cast<int>(seeds.count() / axes),
      given[8] == Py_True, given[9] == Py_True, to));
}

// Whether another place may explain the window nearly as well as the track: false where
// Doubt.compare of integrity/doubt.py would find none. Where it is close, Python is to look itself.
// mean (2D,), covariance (2D, 2D) of the track.
inline bool may_have_rival(
  const Held & held, const HoldCall & hold, const Searching & searching, double now,
  const double * mean, const double * covariance, int axes, const double * limits)
{
  if (!searching.ok()) {return true;}
  const size_t count = held.rows.size();
  static Numbers age, value, weight, states, costs, covariances, residuals;
  static std::vector<int64_t> anchor;
  for (Numbers * each : {&age, &value, &weight}) {each->resize(count);}
  anchor.resize(count);
  for (size_t i = 0; i < count; i++) {
    anchor[i] = static_cast<int64_t>(held.rows[i].anchor);
    age[i] = held.rows[i].stamp - now;
    value[i] = held.rows[i].value;
    weight[i] = 1.0 / held.seen[anchor[i]];
  }
  const Scales scales = searching.scales();
  const double * fixed = hold.constants.data<double>();
  const Window window{
    age.data(), value.data(), weight.data(), hold.places.data<double>(), anchor.data(),
    static_cast<int>(count), axes, fixed[0]};
  states.resize(scales.polished * (2 * axes + 1));
  costs.resize(scales.polished);
  covariances.resize(scales.polished * axes * axes);
  residuals.resize(scales.polished * count);
  const int found = explained(
    window, scales, fixed[1], mean, 1, false, true,
    {states.data(), costs.data(), covariances.data(), residuals.data()});
  if (found < 1) {return true;}
  const double best = *std::min_element(costs.begin(), costs.begin() + found);
  const double most = std::min(held.cost + limits[RIVAL], best + limits[BEST]);
  const double variance = covariance[0] + covariance[2 * axes + 1];
  const double near =
    std::max(limits[ELSEWHERE], limits[SIGMAS] * std::sqrt(std::max(variance, 0.0)));
  for (int i = 0; i < found; i++) {
    const double * at = &states[i * (2 * axes + 1)];
    // Within a rounding it is Python's to say.
    const bool apart = std::hypot(at[0] - mean[0], at[1] - mean[1]) > near * (1.0 - 1e-12);
    if (costs[i] <= most && apart) {return true;}
  }
  return false;
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__EXPLAINING_HPP_
