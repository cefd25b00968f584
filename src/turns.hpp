// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Ordinary turns of the loop, of one tag or of many, for Python: `seat`, `plan` and `absorb`.

#ifndef LOCDREAMER_ROS__TURNS_HPP_
#define LOCDREAMER_ROS__TURNS_HPP_

#include "choices.hpp"
#include "explaining.hpp"
#include "steps.hpp"
#include "watching.hpp"

namespace locdreamer_ros
{

constexpr const char * SEAT = "locdreamer_ros._compiled.seat";

// Of a seat's watch the arrays, as long as the seat is there: a turn needs them all.
struct Watched
{
  explicit Watched(PyObject * const * of)
  : places(of[0]), gate(of[1]), used(of[2]), last(of[3]), rows(of[4]), counts(of[5]), track(of[6]),
    tracked(of[7]), constants(of[8]), named(of[9]), spikes(of[10], PyBUF_WRITABLE), fit(of[11]),
    silence(of[12]), due(of[13]), limits(of[14]), looked(of[15]), searching(of + 16),
    calm(of[19] == Py_True), wide(of[20]), lasting(of[21]) {}

  const In places, gate;
  const Out used, last, rows, counts, track, tracked;
  const In constants;
  const Indices named, spikes;
  const Out fit, silence, due;
  const In limits;
  const Out looked;
  const Searching searching;
  const bool calm;
  const Indices wide;
  const Out lasting;
};

// What the turns of one tag work on, from one to the next: tuples of arrays, and where the filter
// stands, all of which it keeps.
struct Seat
{
  // model, slots, slot (A,), box (5,): where the filter answers, and how far beyond.
  static constexpr int FILTER = 4;
  // What `AheadCall` takes, with the pace (4,) in place of sigma: last fix and interval s, sigma m of
  // a range, how long what lasts is shared s; and how many are asked at once: all, or the first alone.
  static constexpr int CHOICE = AheadCall::ARGUMENTS + 1;
  // places (A, 3), limits of the gate (7,); used (A, 2), last (A,), window (R, 3); window's counts
  // (2,): rows, and when it was pruned; track (T, 1 + D), its count (1,), constants of `hold` (10,),
  // anchors named (N,), spikes (A,), fit (A,), silence (2,): since when, and how often; when the track
  // is held next (1,), limits (LIMITS,); when other places were looked at last (1,), and `Searching`;
  // whether all is calm, and of which anchors, increasing (C,); long ranges of each (A, 4).
  static constexpr int WATCH = 22;
  // state, mean (2D,) and covariance (2D, 2D) that are shown of it; and its time s.
  static constexpr int STANDING = Room::ARGUMENTS + 1;

  Seat(PyObject * filter_, PyObject * choice_, PyObject * watch_, PyObject * standing, double at_)
  : filter(filter_), choice(choice_), watch(watch_), at(at_)
  {
    for (PyObject * each : {filter, choice, watch}) {Py_INCREF(each);}
    for (int i = 0; i < Room::ARGUMENTS; i++) {
      stands[i] = PyTuple_GET_ITEM(standing, i);
      Py_INCREF(stands[i]);
    }
    const Py_ssize_t shown = In(stands[1]).ok() ? In(stands[1]).count() : 0;
    shapes[0] = PyLong_FromLongLong(In(stands[0]).ok() ? In(stands[0]).count() : 0);
    shapes[1] = PyLong_FromSsize_t(shown);
    shapes[2] = Py_BuildValue("(nn)", shown, shown);
    if (watch != Py_None) {watched = std::make_unique<Watched>(items(watch));}
  }
  ~Seat()
  {
    for (PyObject * each : {filter, choice, watch}) {Py_DECREF(each);}
    for (PyObject * each : stands) {Py_DECREF(each);}
    for (PyObject * each : shapes) {Py_XDECREF(each);}
  }
  Seat(const Seat &) = delete;
  Seat & operator=(const Seat &) = delete;

  static PyObject * const * items(PyObject * tuple) {return &PyTuple_GET_ITEM(tuple, 0);}
  bool chooses() const {return choice != Py_None;}
  bool watches() const {return watched != nullptr;}

  PyObject * const filter, * const choice, * const watch;
  PyObject * stands[Room::ARGUMENTS], * shapes[Room::ARGUMENTS];
  Shelf shelves[Room::ARGUMENTS], rows;
  std::unique_ptr<const Watched> watched;
  double at;
};

// seat(filter, choice or None, watch or None, standing): see `Seat`.
inline PyObject * make_seat(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 4)) {return nullptr;}
  const Py_ssize_t lengths[] = {Seat::FILTER, Seat::CHOICE, Seat::WATCH, Seat::STANDING};
  for (int i = 0; i < 4; i++) {
    if ((i == 1 || i == 2) && given[i] == Py_None) {continue;}
    if (!PyTuple_Check(given[i]) || PyTuple_GET_SIZE(given[i]) != lengths[i]) {
      PyErr_Format(PyExc_TypeError, "expected a tuple of %zd arguments", lengths[i]);
      return nullptr;
    }
  }
  double at = 0.0;
  if (!number(PyTuple_GET_ITEM(given[3], Room::ARGUMENTS), at)) {return nullptr;}
  Seat * seat = new Seat(given[0], given[1], given[2], given[3], at);
  PyObject * capsule = PyCapsule_New(
    seat, SEAT, [](PyObject * self) {
      delete static_cast<Seat *>(PyCapsule_GetPointer(self, SEAT));
    });
  if (!capsule) {delete seat;}
  return capsule;
}

// Where a turn goes, until the seat takes it: arrays that nobody else has.
struct Next
{
  explicit Next(Seat & seat)
  {
    good = true;
    for (int i = 0; i < Room::ARGUMENTS; i++) {
      arrays[i] = good && seat.shapes[i] ? seat.shelves[i].take(seat.shapes[i]) : nullptr;
      good = arrays[i];
    }
  }
  ~Next() {for (PyObject * each : arrays) {Py_XDECREF(each);}}
  Next(const Next &) = delete;
  Next & operator=(const Next &) = delete;

  // The seat stands here from now on: for Python the arrays, the time s, and what else there is to
  // say, which this takes.
  PyObject * taken(Seat & seat, double at, PyObject * said) const
  {
    PyObject * found = !said ? nullptr :
      Py_BuildValue("(OOOdN)", arrays[0], arrays[1], arrays[2], at, said);
    if (found) {
      for (int i = 0; i < Room::ARGUMENTS; i++) {
        Py_INCREF(arrays[i]);
        Py_SETREF(seat.stands[i], arrays[i]);
      }
      seat.at = at;
    }
    return found;
  }

  PyObject * arrays[Room::ARGUMENTS];
  bool good;
};

// A list of what `function` answers to each tuple of a list, None to None; null: an exception is set.
// That is so where it is no list, a tuple has another length, or the function answers null.
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
    if (tuple == Py_None) {
      Py_INCREF(Py_None);
      said = Py_None;
    } else if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) != length) {
      PyErr_Format(PyExc_TypeError, "expected tuples of %zd arguments", length);
    } else {
      Seat * seat = static_cast<Seat *>(PyCapsule_GetPointer(PyTuple_GET_ITEM(tuple, 0), SEAT));
      said = seat ? function(*seat, &PyTuple_GET_ITEM(tuple, 0)) : nullptr;
    }
    if (said) {
      PyList_SET_ITEM(found, i, said);
    } else {
      Py_CLEAR(found);
    }
  }
  return found;
}

// Sigma m at a fix at `time` s: Pace of schedulers/foresight.py.
inline double paced(double * pace, double time)
{
  const double step = time - pace[0];
  if (step > 0.0) {
    const double before = std::isnan(pace[1]) ? step : pace[1];
    pace[1] = before + 0.1 * (std::min(step, 10.0) - before);
  }
  if (step != 0.0) {pace[0] = time;}
  const double together = pace[1] > 0.0 ? 1.0 + pace[3] / pace[1] : 1.0;
  return pace[2] / std::sqrt(together);
}

// A turn of `plan`: the seat, the time s to predict to.
inline PyObject * plan_one(Seat & seat, PyObject * const * one, bool choose)
{
  double time = 0.0;
  if (!number(one[1], time)) {return nullptr;}
  const double dt = time - seat.at;
  bool ordinary = dt > 0.0;
  if (seat.watches()) {
    const Array & silence = seat.watched->silence, & limits = seat.watched->limits;
    ordinary = ordinary && silence.holds(2) && limits.holds(LIMITS) &&
      dt <= silence.data<double>()[0] + limits.data<double>()[COAST] - seat.at;
  }
  if (!ordinary) {Py_RETURN_NONE;}
  const Next next(seat);
  if (!next.good) {return nullptr;}
  PyObject * const * filter = Seat::items(seat.filter);
  PyObject * const standing[] = {filter[0], filter[1], filter[2], seat.stands[0]};
  const PredictCall first(standing, dt, next.arrays);
  if (!first.from.good) {return nullptr;}
  if (!choose || !seat.chooses()) {
    if (!first.run()) {Py_RETURN_NONE;}
    Py_INCREF(Py_None);
    return next.taken(seat, seat.at + dt, Py_None);
  }
  PyObject * const * choice = Seat::items(seat.choice);
  const Out pace(choice[3]);
  AheadCall then(choice, pace.holds(4) ? paced(pace.data<double>(), seat.at + dt) : 0.0);
  PyObject * rows = then.good ? seat.rows.take(choice[Seat::CHOICE - 1], 'l') : nullptr;
  if (!rows) {return nullptr;}
  const Indices out(rows, PyBUF_WRITABLE);
  const int said = run(
    [&] {  // all of it one function: it is fetched at once
      return !first.run() ? 0 : pace.holds(4) &&
      then.look(first.from, State(first.to.state.data<double>(), first.from.slots)) &&
      (out.holds(then.budget) ? then.choose(out) : then.first(out)) ? 2 : 1;
    });
  if (said != 2) {
    Py_INCREF(Py_None);
    Py_SETREF(rows, Py_None);
  }
  return said ? next.taken(seat, seat.at + dt, rows) : rows;
}

// plan(list of tuples or None: seat, the time s to predict to; whether to choose): of each None: no
// ordinary turn; or state, mean and covariance shown, time s, and the rows chosen or None.
inline PyObject * plan(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 2)) {return nullptr;}
  const bool choose = given[1] == Py_True;
  return of_each(
    given[0], 2, [choose](Seat & seat, PyObject * const * one) {
      return plan_one(seat, one, choose);
    });
}

inline bool is_count(double number) {return number >= 0.0 && number < 1e9;}

// Whether a mean (2D) is far outside of a box: left, front, right, back and the margin.
inline bool is_far(const double * mean, const double * box)
{
  return box[0] - mean[0] > box[4] || mean[0] - box[2] > box[4] ||
         box[1] - mean[1] > box[4] || mean[1] - box[3] > box[4];
}

// absorb(list of tuples or None: seat, the time s that the answer is for; anchor, value, stamp, status,
//        blocked, variance (N,)): of each None: no ordinary turn, and nothing has changed; or state,
// mean and covariance shown, time s, and how many ranges were used: in a tuple where Python is to go
// on, with cost, anchors, fit and offset of the track that was held, or by itself where it is yet to be.
// It need not where Watch._test of integrity/watch.py would change nothing.
// Without a watch all ranges are taken in.
inline PyObject * absorb_one(Seat & seat, PyObject * const * one)
{
  double time = 0.0;
  if (!number(one[1], time)) {return nullptr;}
  const double at = seat.at;
  const Next next(seat);
  if (!next.good) {return nullptr;}
  PyObject * const * filter = Seat::items(seat.filter), * const * told = one + 2;
  PyObject * const standing[] = {filter[0], filter[1], filter[2], seat.stands[0]};
  UpdateCall update(standing, at, told, next.arrays);
  if (!update.from.good) {return nullptr;}
  const In box(filter[3]);
  if (!update.from.ok() || !box.holds(5) || !update.to.fits(update.from)) {Py_RETURN_NONE;}
  const double * shown = update.to.shown.data<double>();
  const auto updated = [&](uint64_t without) {
      const int heard = update.run(without);
      return heard > 0 && !is_far(shown, box.data<double>()) ? heard : 0;
    };
  if (!seat.watches()) {
    const int heard = updated(0);
    if (!heard) {Py_RETURN_NONE;}
    return next.taken(seat, at, PyLong_FromLong(heard));
  }
  const Watched & watch = *seat.watched;
  const Array & counts = watch.counts, & track = watch.track, & tracked = watch.tracked,
    & fit = watch.fit, & silence = watch.silence, & due = watch.due, & looked = watch.looked,
    & named = watch.named, & spikes = watch.spikes, & wide = watch.wide, & limits = watch.limits;
  const int64_t anchors = update.from.model->anchors(), axes = update.from.model->axes;
  if (!counts.holds(2) || !tracked.holds(1) || !fit.holds(anchors) || !silence.holds(2) ||
    !due.holds(1) || !looked.holds(1) || !named.ok() || !spikes.holds(anchors) ||
    !limits.holds(LIMITS))
  {
    Py_RETURN_NONE;
  }
  const double * limit = limits.data<double>();
  double * in_window = counts.data<double>(), * since = silence.data<double>();
  if (!is_count(in_window[0]) || !is_count(*tracked.data<double>())) {Py_RETURN_NONE;}
  const AttendCall attend(
    watch.places, watch.gate, time, told, at, seat.stands[1], seat.stands[2],
    update.from.now().mean[COMMON], watch.used, watch.last, watch.rows,
    static_cast<int64_t>(in_window[0]), watch.lasting);
  const HoldCall hold(watch.places, watch.constants, watch.rows, track, named);
  const double reach = std::max(limit[REACH], std::min(limit[REACH_ROWS] * since[1], limit[OLDEST]));
  const bool open = time - since[0] > std::max(limit[OPEN], 1.5 * since[1]);
  const bool tests = time >= *due.data<double>() || time < *due.data<double>() - limit[TEST];
  Screen screen(attend, spikes.data<int64_t>(), fit.data<double>(), limit, static_cast<int>(axes));
  uint64_t beyond = 0, without = 0;
  int64_t tracks = static_cast<int64_t>(*tracked.data<double>());
  int used = 0, left = 0;
  bool is_held = false;
  Held held;
  const bool ordinary = run(
    [&] {
      if (!has_room(track, tracks, axes) || !attend.places.holds(SPACE * anchors) ||
      !attend.plain(beyond, used, true) ||
      !screen.run(beyond, open, named, without) || !updated(without))
      {
        return false;
      }
      in_window[0] = static_cast<double>(attend.take());
      in_window[1] = -HUGE_VAL;
      tracks = remembered(track, tracks, axes, at, shown, reach);
      is_held = tests && hold.run(
        static_cast<int64_t>(in_window[0]), tracks, time, left, held);
      return true;
    });
  if (!ordinary) {Py_RETURN_NONE;}
  screen.keep(spikes.data<int64_t>());
  for (; without; without &= without - 1) {used--;}
  *tracked.data<double>() = static_cast<double>(tracks);
  const double interval = time - since[0];
  since[1] += since[1] != 0.0 ? 0.1 * (interval - since[1]) : interval;
  since[0] = time;
  PyObject * said = nullptr;
  if (tests) {
    *due.data<double>() = time + limit[TEST];
    if (!is_held) {
      said = Py_BuildValue("(i)", used);
    } else {
      in_window[0] = left;
      in_window[1] = time;
      bool calm = watch.calm && held.cost < limit[SUSPECT] * held.anchors &&
        wide.holds(held.fit.size());
      for (size_t i = 0; calm && i < held.fit.size(); i++) {
        const double off = held.fit[i].second;
        calm = off + std::max(held.offset, 0.0) >= limit[SHRINKS] && off <= limit[LINGERS] &&
          held.fit[i].first == wide.data<int64_t>()[i];
      }
      for (int64_t i = 0; calm && i < anchors; i++) {
        calm = !(time - attend.lasting.data<double>()[AttendCall::LASTING * i] > limit[LASTS]);
      }
      const double least = std::max(limit[RIVALLED], limit[RIVALLED_EACH] * held.anchors);
      const double wait = held.cost >= least ? limit[LOOK] : limit[GLANCE];
      if (calm && time >= *looked.data<double>() + wait) {
        const double common =
          State(update.to.state.data<double>(), update.from.slots).mean[COMMON];
        calm = held.anchors >= 3 && std::fabs(common) < limit[OFFSET] && !may_have_rival(
          held, hold, watch.searching, time, shown, update.to.shown_covariance.data<double>(),
          static_cast<int>(axes), limit);
        if (calm) {*looked.data<double>() = time;}
      }
      if (held.anchors && !calm) {
        PyObject * off = dict_of(held.fit);
        said = !off ? nullptr :
          Py_BuildValue("(idiNd)", used, held.cost, held.anchors, off, held.offset);
      } else {
        if (held.anchors) {std::fill_n(fit.data<double>(), anchors, std::nan(""));}
        for (const auto & each : held.fit) {fit.data<double>()[each.first] = each.second;}
        said = PyLong_FromLong(used);
      }
    }
  } else {
    said = PyLong_FromLong(used);
  }
  return next.taken(seat, at, said);
}

inline PyObject * absorb(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  return arguments(count, 1) ? of_each(
    given[0], 2 + UpdateCall::ARGUMENTS, absorb_one) : nullptr;
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__TURNS_HPP_
