// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Ordinary turns of the loop, of one tag or of many, for Python: `plan` and `absorb`.

#ifndef LOCDREAMER_ROS__TURNS_HPP_
#define LOCDREAMER_ROS__TURNS_HPP_

#include "choices.hpp"
#include "steps.hpp"
#include "watching.hpp"

namespace locdreamer_ros
{

// A list of what `function` answers to each tuple of a list; null: an exception is set. That is so
// where it is no list, a tuple has another length, or the function answers null.
template<class Function>
inline PyObject * of_each(PyObject * list, Py_ssize_t length, Function function)
{
  if (!PyList_Check(list)) {
    PyErr_SetString(PyExc_TypeError, "expected a list of tuples");
    return nullptr;
  }
  const Py_ssize_t count = PyList_GET_SIZE(list);
  PyObject * found = PyList_New(count);
  for (Py_ssize_t i = 0; found && i < count; i++) {
    PyObject * tuple = PyList_GET_ITEM(list, i), * said = nullptr;
    if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) != length) {
      PyErr_Format(PyExc_TypeError, "expected tuples of %zd arguments", length);
    } else {
      said = function(&PyTuple_GET_ITEM(tuple, 0));
    }
    if (said) {
      PyList_SET_ITEM(found, i, said);
    } else {
      Py_CLEAR(found);
    }
  }
  return found;
}

// plan(list of tuples, each what `predict` takes, then what `choose_ahead` does after the standing):
// of each 0: numpy's turn; 1: predicted; 2: and rows chosen.
inline PyObject * plan(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  constexpr int before = PredictCall::ARGUMENTS + AheadCall::ARGUMENTS;
  if (!arguments(count, 1)) {return nullptr;}
  return of_each(
    given[0], before + 1, [](PyObject * const * one) -> PyObject * {
      const PredictCall first(one);
      if (!first.good) {return nullptr;}
      AheadCall then(one + PredictCall::ARGUMENTS);
      if (!then.good) {return nullptr;}
      const Indices out(one[before], PyBUF_WRITABLE);
      return PyLong_FromLong(
        run(
          [&] {
            return !first.run() ? 0 :
            then.look(first.from, State(first.to.state.data<double>(), first.from.slots)) &&
            then.choose(out) ? 2 : 1;
          }));
    });
}

// absorb(list of tuples, each what `update` takes, then what `attend` does, then the track (R, 1 + D),
//        how many, its reach s, constants and anchors named as of `hold`, whether the track is to be
// held): of each None: not an ordinary turn, and nothing has changed but the room; or how many ranges
// were used, how many rows window and track have now, and of a track that was held cost, anchors and
// fit, else None.
inline PyObject * absorb(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  constexpr int before = UpdateCall::ARGUMENTS + AttendCall::ARGUMENTS;
  if (!arguments(count, 1)) {return nullptr;}
  return of_each(
    given[0], before + 6, [](PyObject * const * one) -> PyObject * {
      UpdateCall update(one);
      if (!update.good()) {return nullptr;}
      const AttendCall attend(one + UpdateCall::ARGUMENTS);
      double reach = 0.0;
      if (!attend.good || !number(one[before + 2], reach)) {return nullptr;}
      int64_t tracked = PyLong_AsLong(one[before + 1]);
      if (PyErr_Occurred()) {return nullptr;}
      const Out track(one[before]);
      const HoldCall hold(
        one[UpdateCall::ARGUMENTS], one[before + 3], one[UpdateCall::ARGUMENTS + 14], one[before],
        one[before + 4]);
      uint64_t beyond = 0;
      int64_t rows = 0;
      int used = 0, left = 0;
      bool is_held = false;
      Held held;
      const bool ordinary = run(
        [&] {
          const int64_t axes = update.to.shown.ok() ? update.to.shown.count() / 2 : 0;
          if (!has_room(track, tracked, axes) || !attend.plain(beyond, used, true) || beyond ||
          update.run() < 1)
          {
            return false;
          }
          rows = attend.take();
          tracked = remembered(
            track, tracked, axes, update.time(), update.to.shown.data<double>(), reach);
          is_held = one[before + 5] == Py_True &&
          hold.run(rows, tracked, attend.time, left, held);
          return true;
        });
      if (!ordinary) {Py_RETURN_NONE;}
      if (!is_held) {
        return Py_BuildValue(
          "iLLO", used, static_cast<long long>(rows), static_cast<long long>(tracked), Py_None);
      }
      PyObject * fit = dict_of(held.fit);
      return !fit ? nullptr : Py_BuildValue(
        "iiL(diN)", used, left, static_cast<long long>(tracked), held.cost, held.anchors, fit);
    });
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__TURNS_HPP_
