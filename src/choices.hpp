// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Foresight and choice, for Python: `foresee`, `choose`, `choose_ahead`, `first_ahead`, `near`.

#ifndef LOCDREAMER_ROS__CHOICES_HPP_
#define LOCDREAMER_ROS__CHOICES_HPP_

#include "steps.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <vector>

#include "choice.hpp"
#include "foresight.hpp"

namespace locdreamer_ros
{

// What ranges of some rows (count) of a site's anchors would say at a state.
inline Ahead ahead_of(const Standing & from, const State & now, const int64_t * rows, int count)
{
  return Ahead(
    *from.model->net, now.slots, now.mean, now.covariance, from.model->places.data(),
    from.slot.data<int64_t>(), rows, count);
}

// foresee(standing, rows; position, cross, ranges)
inline PyObject * step_foresee(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, Standing::ARGUMENTS + 4)) {return nullptr;}
  const Standing from(given);
  if (!from.good) {return nullptr;}
  const int64_t axes = from.model->axes;
  const Indices rows(given[4]);
  const Out position(given[5]), cross(given[6]), ranges(given[7]);
  if (!rows.ok() || !from.ok() || !position.holds(axes * axes) ||
    !cross.holds(rows.count() * axes) || !ranges.holds(rows.count() * rows.count()) ||
    !from.knows(rows.data<int64_t>(), rows.count()))
  {
    return answer(false);
  }
  const State now = from.now();
  run(
    [&] {
      ahead_of(from, now, rows.data<int64_t>(), static_cast<int>(rows.count())).all(
        static_cast<int>(axes), position.data<double>(), cross.data<double>(),
        ranges.data<double>());
    });
  return answer(true);
}

// need: is told of an anchor whose row of ranges is needed, where they are not few.
template<int AXES, class Need>
INLINE bool choose_in(
  const double * position, const double * cross, const double * ranges, const double * weights,
  int anchors, int budget, double sigma, double most, double clearly, const Need & need,
  std::vector<int> & best)
{
  double present = 0.0;
  for (int i = 0; i < AXES; i++) {present += weights[i] * position[i * (AXES + 1)];}
  if (!std::isfinite(present)) {return false;}
  Choice<AXES> choice(cross, ranges, weights, anchors, budget, sigma);
  return few(anchors, budget, most) ? try_all(choice, anchors, budget, best) :
         exchange(choice, budget, present, clearly, need, best);
}

// The same in two dimensions or three, in the vectors of whoever asks.
template<class... Given>
INLINE bool choose_in_space(int64_t axes, Given && ... given)
{
  return axes == 2 ? choose_in<2>(given ...) : choose_in<3>(given ...);
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
  const bool done = run(
    [&] {
      return choose_in_space(
        axes, position.data<double>(), cross.data<double>(), ranges.data<double>(),
        weights.data<double>(), static_cast<int>(anchors), static_cast<int>(budget), sigma, most,
        clearly, [](int) {}, best);
    });
  if (!done) {return answer(false);}
  std::copy(best.begin(), best.end(), out.data<int64_t>());
  return answer(true);
}

// Rows (wanted,), increasing, of the anchors nearest to a position (D); false: not all is finite.
inline bool nearest_rows(
  const double * places, int64_t anchors, const double * position, int64_t axes, int64_t wanted,
  int64_t * rows)
{
  if (wanted >= anchors) {
    std::iota(rows, rows + anchors, 0);
    return true;
  }
  static Numbers away, least;
  away.resize(anchors);
  const double x = position[0], y = axes > 1 ? position[1] : 0.0, z = axes > 2 ? position[2] : 0.0;
  const double along = axes > 1 ? 1.0 : 0.0, above = axes > 2 ? 1.0 : 0.0;
  for (int64_t i = 0; i < anchors; i++) {
    const double * at = places + i * SPACE;
    away[i] = square(at[0] - x) + along * square(at[1] - y) + above * square(at[2] - z);
  }
  if (!finite(away.data(), anchors)) {return false;}
  // So many anchors are within the farthest of as many groups' nearest ones: few others are too.
  const int64_t groups = std::min(2 * wanted, anchors);
  least.assign(away.begin(), away.begin() + groups);
  for (int64_t i = groups; i < anchors; i += groups) {
    const int64_t more = std::min(groups, anchors - i);
    for (int64_t j = 0; j < more; j++) {least[j] = std::min(least[j], away[i + j]);}
  }
  const auto farthest = [wanted](Numbers & of) {
      std::nth_element(of.begin(), of.begin() + wanted - 1, of.end());
      return of[wanted - 1];
    };
  const double within = farthest(least);
  static std::vector<int64_t> near;
  near.resize(anchors);
  int64_t count = 0;
  for (int64_t i = 0; i < anchors; i++) {
    near[count] = i;
    count += away[i] <= within;
  }
  least.resize(count);
  for (int64_t i = 0; i < count; i++) {least[i] = away[near[i]];}
  const double reach = farthest(least);
  int64_t nearer = 0, found = 0;
  for (int64_t i = 0; i < count; i++) {nearer += away[near[i]] < reach;}
  for (int64_t i = 0; i < count; i++) {
    const double here = away[near[i]];
    if (here < reach || (here == reach && nearer++ < wanted)) {rows[found++] = near[i];}
  }
  return true;
}

// What ranges of some anchors would say, and whom to ask by it.
struct AheadCall
{
  static constexpr int ARGUMENTS = 6;

  // rows (C,), or a number: so many of those nearest. The fourth is where sigma is from.
  AheadCall(PyObject * const * given, double sigma_)
  : weights(given[1]), sigma(sigma_)
  {
    const bool counted = PyLong_Check(given[0]);
    wanted = counted ? PyLong_AsLong(given[0]) : 0;
    if (!counted) {
      const Indices asked(given[0]);
      if (asked.ok()) {rows.assign(asked.data<int64_t>(), asked.data<int64_t>() + asked.count());}
    }
    budget = PyErr_Occurred() ? 0 : PyLong_AsLong(given[2]);
    good = !PyErr_Occurred() && number(given[4], most) && number(given[5], clearly);
  }

  // Not those that were asked already; false: they are no rows.
  bool leave_out(const Indices & already)
  {
    if (!already.ok()) {return false;}
    asked.assign(already.data<int64_t>(), already.data<int64_t>() + already.count());
    return true;
  }

  // The foresight of the rows from a state of the filter; false: numpy's turn.
  bool look(const Standing & from, const State & now)
  {
    return locdreamer_ros::run([&] {return looked(from, now);});
  }

  bool choose(std::vector<int> & best) const
  {
    return budget < candidates && locdreamer_ros::run([&] {return chosen(best);});
  }

  // The rows chosen, as of anchors.
  bool choose(const Indices & out) const
  {
    std::vector<int> best;
    if (!out.holds(budget) || !choose(best)) {return false;}
    for (int64_t i = 0; i < budget; i++) {
      out.data<int64_t>()[i] = rows[best[i]];
    }
    return true;
  }

  // Of a choice the row of the one that helps most alone, what it leaves and what there was, m^2.
  bool first(int64_t & one, double & left, double & present) const
  {
    std::vector<int> best(candidates);
    std::iota(best.begin(), best.end(), 0);
    if (whole && !choose(best)) {return false;}
    present = 0.0;
    for (int i = 0; i < axes; i++) {
      present += weights.data<double>()[i] * position[i * (axes + 1)];
    }
    left = HUGE_VAL;
    for (int row : best) {
      double gained = 0.0;
      for (int i = 0; i < axes; i++) {
        gained += weights.data<double>()[i] * square(cross[row * axes + i]);
      }
      const double remains = present - gained / (ranges[row * (candidates + 1)] + square(sigma));
      if (remains < left) {
        left = remains;
        one = rows[row];
      }
    }
    return std::isfinite(left);
  }

  bool first(const Indices & out) const
  {
    double left = 0.0, present = 0.0;
    return out.holds(1) && first(*out.data<int64_t>(), left, present);
  }

  const In weights;
  const double sigma;
  std::vector<int64_t> rows;
  double most = 0.0, clearly = 0.0;
  int64_t budget = 0, wanted = 0, candidates = 0;
  int axes = 0;
  bool good;

private:
  bool looked(const Standing & from, const State & now)
  {
    const Model & model = *from.model;
    axes = model.axes;
    if (wanted > 0) {
      rows.resize(std::min(wanted, model.anchors()));
      if (!nearest_rows(
          model.places.data(), model.anchors(), now.mean, axes, wanted, rows.data()))
      {
        return false;
      }
    }
    for (int64_t each : asked) {
      rows.erase(std::remove(rows.begin(), rows.end(), each), rows.end());
    }
    candidates = static_cast<int64_t>(rows.size());
    if (budget < 1 || candidates < 1 || !(clearly >= 0.0) || !weights.holds(axes) ||
      !from.knows(rows.data(), candidates))
    {
      return false;
    }
    position.resize(axes * axes);
    cross.resize(candidates * axes);
    ranges.resize(candidates * candidates);
    const int count = static_cast<int>(candidates);
    ahead.emplace(ahead_of(from, now, rows.data(), count));
    whole = budget > 1 && budget < candidates && few(count, static_cast<int>(budget), most);
    if (whole) {
      ahead->all(axes, position.data(), cross.data(), ranges.data());
    } else {
      ahead->position(axes, position.data());
      ahead->glance(axes, cross.data(), ranges.data());
      known.assign(count, 0);
    }
    return true;
  }

  bool chosen(std::vector<int> & best) const
  {
    return choose_in_space(
      axes, position.data(), cross.data(), ranges.data(), weights.data<double>(),
      static_cast<int>(candidates), static_cast<int>(budget), sigma, most, clearly,
      [this](int k) {
        if (!known[k]) {
          ahead->row(k, axes, &cross[k * axes], &ranges[k * candidates]);
          known[k] = 1;
        }
      }, best);
  }

  std::vector<int64_t> asked;
  std::optional<Ahead> ahead;
  bool whole = false;  // all rows of `ranges` are there; otherwise those that are `known`
  static inline Numbers position, cross, ranges;
  static inline std::vector<char> known;
};

// Has `work` done with a choice by the foresight of a state, but for those asked (or null); `done`:
// whether it could be. False: an exception is set.
template<typename Work>
bool look_ahead(PyObject * const * given, PyObject * asked, bool & done, Work work)
{
  const Standing from(given);
  double sigma = 0.0;
  if (!from.good || !number(given[Standing::ARGUMENTS + 3], sigma)) {return false;}
  AheadCall call(given + Standing::ARGUMENTS, sigma);
  if (!call.good) {return false;}
  done = from.ok() && (!asked || call.leave_out(Indices(asked))) && call.look(from, from.now()) &&
    work(call);
  return true;
}

// choose_ahead(standing, rows (C,) or how many of the nearest, weights of the axes, budget, sigma,
//              most subsets, clearly; chosen rows (budget,))
inline PyObject * choose_ahead(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  constexpr int before = Standing::ARGUMENTS + AheadCall::ARGUMENTS;
  if (!arguments(count, before + 1)) {return nullptr;}
  const Indices out(given[before], PyBUF_WRITABLE);
  bool done = false;
  const auto choose = [&](const AheadCall & call) {return call.choose(out);};
  if (!look_ahead(given, nullptr, done, choose)) {return nullptr;}
  return answer(done);
}

// first_ahead(standing, rows (C,) or how many of the nearest, weights of the axes, budget, sigma,
//             most subsets, clearly, rows (K,) asked already): whom of the others to ask first, what it
// leaves alone and what there was, m^2; None: numpy's turn.
inline PyObject * first_ahead(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  constexpr int before = Standing::ARGUMENTS + AheadCall::ARGUMENTS;
  if (!arguments(count, before + 1)) {return nullptr;}
  int64_t one = 0;
  double left = 0.0, present = 0.0;
  bool done = false;
  const auto first = [&](const AheadCall & call) {return call.first(one, left, present);};
  if (!look_ahead(given, given[before], done, first)) {return nullptr;}
  if (!done) {Py_RETURN_NONE;}
  return Py_BuildValue("Ldd", static_cast<long long>(one), left, present);
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
  return answer(
    nearest_rows(
      places.data<double>(), anchors, position.data<double>(), axes, wanted,
      out.data<int64_t>()));
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__CHOICES_HPP_
