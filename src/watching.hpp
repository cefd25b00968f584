// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// What integrity/ asks for: ranges against a track, and the places that explain them.

#ifndef LOCDREAMER_ROS__WATCHING_HPP_
#define LOCDREAMER_ROS__WATCHING_HPP_

#include "python.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "snapshot.hpp"

namespace locdreamer_ros
{

// gaps(places (A, 3), height, floor, anchor (N,), value (N,), at (N, D); gap (N,)): ranges less the
// slant distances from where the tag was at each.
inline PyObject * gaps(PyObject *, PyObject * const * given, Py_ssize_t count)
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
inline PyObject * all_near(PyObject *, PyObject * const * given, Py_ssize_t count)
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
inline PyObject * cost_of(PyObject *, PyObject * const * given, Py_ssize_t count)
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
inline PyObject * medians(PyObject *, PyObject * const * given, Py_ssize_t count)
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
inline PyObject * explain(PyObject *, PyObject * const * given, Py_ssize_t count)
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

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__WATCHING_HPP_
