// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Foresight and choice, for Python: `foresee`, `choose`, `near`, and `plan_many`.

#ifndef LOCDREAMER_ROS__CHOICES_HPP_
#define LOCDREAMER_ROS__CHOICES_HPP_

#include "steps.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "choice.hpp"

namespace locdreamer_ros
{

// Whether rows (C,) are anchors of the site with slots.
inline bool are_anchors(
  const int64_t * rows, int64_t count, const int64_t * slot, int64_t anchors, int64_t slots)
{
  for (int64_t k = 0; k < count; k++) {
    if (rows[k] < 0 || rows[k] >= anchors || slot[rows[k]] < 0 || slot[rows[k]] >= slots) {
      return false;
    }
  }
  return true;
}

// foresee(model, slots, state, slot, rows; position, cross, ranges)
inline PyObject * step_foresee(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 8)) {return nullptr;}
  const Model * model = model_of(given[0]);
  if (!model) {return nullptr;}
  const int64_t slots = PyLong_AsLong(given[1]), axes = model->axes;
  if (PyErr_Occurred()) {return nullptr;}
  const In state(given[2]);
  const Indices slot(given[3]), rows(given[4]);
  const Out position(given[5]), cross(given[6]), ranges(given[7]);
  if (!rows.ok() || slots < 1 || slots > MOST_SLOTS || !state.holds(State::count(slots)) ||
    !slot.holds(model->anchors()) || !position.holds(axes * axes) ||
    !cross.holds(rows.count() * axes) || !ranges.holds(rows.count() * rows.count()) ||
    !are_anchors(
      rows.data<int64_t>(), rows.count(), slot.data<int64_t>(), model->anchors(), slots))
  {
    return answer(false);
  }
  const State now(state.data<double>(), slots);
  run(
    [&] {
      foresee(
        *model->net, now.slots, now.mean, now.covariance, model->places.data(),
        slot.data<int64_t>(), rows.data<int64_t>(), static_cast<int>(rows.count()),
        static_cast<int>(axes), position.data<double>(), cross.data<double>(),
        ranges.data<double>());
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

// What ranges of rows (C,) would say, and whom to ask by it.
struct AheadCall
{
  static constexpr int ARGUMENTS = 7;

  explicit AheadCall(PyObject * const * given)
  : slot(given[0]), rows(given[1]), weights(given[2])
  {
    good = number(given[4], sigma) && number(given[5], most) && number(given[6], clearly);
    budget = good ? PyLong_AsLong(given[3]) : 0;
    good = good && !PyErr_Occurred();
  }

  // The foresight of the rows; false: numpy's turn.
  bool look(const Model & model, const double * packed, int64_t slots)
  {
    axes = model.axes;
    candidates = rows.ok() ? rows.count() : 0;
    if (budget < 1 || candidates < 1 || !(clearly >= 0.0) || !slot.holds(model.anchors()) ||
      !weights.holds(axes) ||
      !are_anchors(rows.data<int64_t>(), candidates, slot.data<int64_t>(), model.anchors(), slots))
    {
      return false;
    }
    position.resize(axes * axes);
    cross.resize(candidates * axes);
    ranges.resize(candidates * candidates);
    const State now(const_cast<double *>(packed), slots);
    foresee(
      *model.net, now.slots, now.mean, now.covariance, model.places.data(), slot.data<int64_t>(),
      rows.data<int64_t>(), static_cast<int>(candidates), axes, position.data(), cross.data(),
      ranges.data());
    return true;
  }

  bool choose(std::vector<int> & best) const
  {
    const auto in_space = axes == 2 ? choose_in<2> : choose_in<3>;
    return budget < candidates && in_space(
      position.data(), cross.data(), ranges.data(), weights.data<double>(),
      static_cast<int>(candidates), static_cast<int>(budget), sigma, most, clearly, best);
  }

  // The rows chosen, as of anchors.
  bool choose(const Indices & out) const
  {
    std::vector<int> best;
    if (!out.holds(budget) || !choose(best)) {return false;}
    for (int64_t i = 0; i < budget; i++) {
      out.data<int64_t>()[i] = rows.data<int64_t>()[best[i]];
    }
    return true;
  }

  // Of a choice the one that helps most alone, what it leaves and what there was, m^2.
  bool first(int & one, double & left, double & present) const
  {
    std::vector<int> best(candidates);
    std::iota(best.begin(), best.end(), 0);
    const bool chosen = budget > 1 && budget < candidates &&
      few(static_cast<int>(candidates), static_cast<int>(budget), most);
    if (chosen && !choose(best)) {return false;}
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
        one = row;
      }
    }
    return std::isfinite(left);
  }

  const Indices slot, rows;
  const In weights;
  double sigma = 0.0, most = 0.0, clearly = 0.0;
  int64_t budget = 0, candidates = 0;
  int axes = 0;
  bool good;
  static inline Numbers position, cross, ranges;
};

// A state to look ahead from, given as model, slots and state; null: not one, perhaps an exception.
inline const double * state_of(
  PyObject * const * given, const In & state, const Model * & model, int64_t & slots)
{
  model = model_of(given[0]);
  slots = model ? PyLong_AsLong(given[1]) : 0;
  const bool good = model && !PyErr_Occurred() && slots >= 1 && slots <= MOST_SLOTS &&
    state.holds(State::count(slots));
  return good ? state.data<double>() : nullptr;
}

// Has `work` done with a choice by the foresight of a state; `done`: whether it could be. False: an
// exception is set.
template<typename Work>
bool look_ahead(PyObject * const * given, bool & done, Work work)
{
  const Model * model;
  int64_t slots;
  const In packed(given[2]);
  const double * state = state_of(given, packed, model, slots);
  if (PyErr_Occurred()) {return false;}
  AheadCall call(given + 3);
  if (!call.good) {return false;}
  done = state && run([&] {return call.look(*model, state, slots) && work(call);});
  return true;
}

// choose_ahead(model, slots, state, slot, rows (C,), weights of the axes, budget, sigma,
//              most subsets, clearly; chosen rows (budget,))
inline PyObject * choose_ahead(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 3 + AheadCall::ARGUMENTS + 1)) {return nullptr;}
  const Indices out(given[3 + AheadCall::ARGUMENTS], PyBUF_WRITABLE);
  bool done = false;
  if (!look_ahead(given, done, [&](const AheadCall & call) {return call.choose(out);})) {
    return nullptr;
  }
  return answer(done);
}

// first_ahead(model, slots, state, slot, rows (C,), weights of the axes, budget, sigma,
//             most subsets, clearly): which of the rows to ask first, what it leaves alone and what
// there was, m^2; None: numpy's turn.
inline PyObject * first_ahead(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 3 + AheadCall::ARGUMENTS)) {return nullptr;}
  int one = 0;
  double left = 0.0, present = 0.0;
  bool done = false;
  const auto first = [&](const AheadCall & call) {return call.first(one, left, present);};
  if (!look_ahead(given, done, first)) {return nullptr;}
  if (!done) {Py_RETURN_NONE;}
  return Py_BuildValue("idd", one, left, present);
}

// plan_many(list of tuples, each what `predict` takes, then what `choose_ahead` does, from `slot` on):
// of each 0: numpy's turn; 1: predicted; 2: and rows chosen.
inline PyObject * step_plan_many(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 1)) {return nullptr;}
  std::vector<int> said;
  const bool listed = each_tuple(
    given[0], PredictCall::ARGUMENTS + AheadCall::ARGUMENTS + 1, [&](PyObject * const * one) {
      const PredictCall first(one);
      AheadCall then(one + PredictCall::ARGUMENTS);
      const Indices out(one[PredictCall::ARGUMENTS + AheadCall::ARGUMENTS], PyBUF_WRITABLE);
      if (!first.good || !then.good) {return false;}
      said.push_back(
        run(
          [&] {
            return !first.run() ? 0 :
            then.look(*first.model, first.next.data<double>(), first.slots) && then.choose(out) ?
            2 : 1;
          }));
      return true;
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
