// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// What integrity/ asks for: ranges before the gate, and against a track.

#ifndef LOCDREAMER_ROS__WATCHING_HPP_
#define LOCDREAMER_ROS__WATCHING_HPP_

#include "python.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "snapshot.hpp"
#include "window.hpp"

namespace locdreamer_ros
{

// The constants of integrity/ that decide what is ordinary, as Watch.seat has them.
enum Limit
{
  COAST, OPEN, TEST, SUSPECT, LINGERS, AGREES, SPIKES, ACCUSED, REACH, REACH_ROWS, OLDEST, RIVALLED,
  RIVALLED_EACH, LOOK, GLANCE, RIVAL, BEST, ELSEWHERE, SIGMAS, OFFSET, SHRINKS, LASTS,
  LIMITS
};

// Ranges that are looked at: their arguments, borrowed while it lives.
struct AttendCall
{
  static constexpr int64_t LASTING = 8;

  // places and limits; time s; anchor, value, stamp, status; of the prior its time s, mean, covariance
  // and offset m; used, last, rows (R, 3) of the window, of which `count` are there; of each anchor what
  // lasts of its ranges (A, LASTING), as Lasting of integrity/lasting.py has it.
  AttendCall(
    const Array & places_, const Array & limits_, double time_, PyObject * const * told, double at_,
    PyObject * mean_, PyObject * covariance_, double common_, const Array & used_,
    const Array & last_, const Array & rows_, int64_t count_, const Array & lasting_)
  : places(places_), fixed(limits_), used(used_), last(last_), rows(rows_), lasting(lasting_),
    mean(mean_), covariance(covariance_), anchor(told[0], "lq"), value(told[1], "d"),
    stamp(told[2], "d"), status(told[3], "B"), time(time_), at(at_), common(common_),
    count(count_) {}

  bool usable(int64_t i) const
  {
    const double metres = value.at<double>(i);
    return status.at<uint8_t>(i) == 0 && metres > 0.0 && metres < HUGE_VAL;
  }

  // Whether all are plain, and which of them are beyond the gate, as bits. loose: those that are of
  // no use do not count; how many there are besides.
  bool plain(uint64_t & beyond, int & good_ones, bool loose) const
  {
    const int64_t axes = mean.holds(4) ? 2 : mean.holds(6) ? SPACE : 0;
    if (!axes || !places.ok() || !value.ok() || !fixed.holds(9) || !rows.ok() ||
      !covariance.holds(4 * axes * axes))
    {
      return false;
    }
    const int64_t ranges = value.last_axis(), anchors = places.count() / SPACE;
    if (ranges < 1 || ranges > 64 || count < 0 || (count + ranges) * 3 > rows.count() ||
      !anchor.is_line(ranges) || !value.is_line(ranges) || !stamp.is_line(ranges) ||
      !status.is_line(ranges) || !used.holds(2 * anchors) || !last.holds(anchors) ||
      !lasting.holds(LASTING * anchors))
    {
      return false;
    }
    const double * limits = fixed.data<double>(), * state = mean.data<double>();
    const double height = limits[0], floor = limits[1], most_ahead = limits[4];
    double variance = 0.0;
    for (int i = 0; i < axes; i++) {variance += covariance.data<double>()[i * (2 * axes + 1)];}
    const double sigmas = 3.0 * std::sqrt(std::max(variance, 0.0));
    int64_t asked[64];
    good_ones = 0;
    for (int64_t i = 0; i < ranges; i++) {
      if (loose && !usable(i)) {continue;}
      const int64_t row = asked[good_ones++] = anchor.at<int64_t>(i);
      const double metres = value.at<double>(i), when = stamp.at<double>(i);
      if (!usable(i) || !(std::fabs(when - time) <= most_ahead) || row < 0 || row >= anchors) {
        return false;
      }
      const double * before = used.data<double>() + 2 * row;
      if (before[0] == when && before[1] == metres) {return false;}
      double offset[SPACE] = {0.0, 0.0, height}, unused[SPACE];
      for (int j = 0; j < axes; j++) {offset[j] = state[j] + (when - at) * state[axes + j];}
      for (int j = 0; j < SPACE; j++) {offset[j] -= places.data<double>()[row * SPACE + j];}
      const double off = off_[i] = metres - slant(offset, floor, unused) - common;
      if (!(off < limits[3] + sigmas && off > limits[2] - sigmas)) {beyond |= uint64_t{1} << i;}
      const double * lasts = lasting.data<double>() + LASTING * row;
      if (lasts[4] == metres && lasts[5] + 1.0 >= limits[7] && std::fabs(off - lasts[6]) > limits[8]) {
        return false;
      }
    }
    std::sort(asked, asked + good_ones);
    return std::adjacent_find(asked, asked + good_ones) == asked + good_ones;
  }

  // Take them into the window, but what comes faster than the limit; how many rows it has then.
  int64_t take() const
  {
    const double * limits = fixed.data<double>(), spaced = limits[5];
    int64_t now = count;
    for (int64_t i = 0; i < value.last_axis(); i++) {
      if (!usable(i)) {continue;}
      const int64_t row = anchor.at<int64_t>(i);
      const double metres = value.at<double>(i), when = stamp.at<double>(i);
      used.data<double>()[2 * row] = when;
      used.data<double>()[2 * row + 1] = metres;
      double * lasts = lasting.data<double>() + LASTING * row;
      if (lasts[4] == metres) {
        lasts[5] += 1.0;
      } else {
        lasts[4] = metres;
        lasts[5] = 0.0;
        lasts[6] = off_[i];
      }
      lasts[7] = off_[i];
      if (off_[i] > limits[6]) {
        if (std::isnan(lasts[0])) {
          lasts[0] = when;
          lasts[1] = 0.0;
          std::copy_n(mean.data<double>(), 2, lasts + 2);
        }
        lasts[1] += 1.0;
      } else if (off_[i] >= limits[2]) {
        lasts[0] = std::nan("");
      }
      if (when - last.data<double>()[row] < spaced) {continue;}
      last.data<double>()[row] = when;
      double * to = rows.data<double>() + 3 * now++;
      to[0] = when;
      to[1] = static_cast<double>(row);
      to[2] = metres;
    }
    return now;
  }

  const Array & places, & fixed, & used, & last, & rows, & lasting;
  const In mean, covariance;
  const Line anchor, value, stamp, status;
  const double time, at, common;
  const int64_t count;

private:
  mutable double off_[64];
};

// attend(places (A, 3), limits (9,), time, anchor, value, stamp, status (N,), time, mean (2D) and
//        covariance (2D, 2D) of the prior, offset, keep; used (A, 2), last (A,), rows (R, 3),
//        how many, lasting (A, LASTING)): how many rows the window has with these ranges, and which of them
// are beyond the gate, as bits; None where one of them is not plain: then numpy looks.
// limits: height, floor, low and high gate m, how far from `time` s a stamp may be, how far apart those
// of an anchor are kept, what is long m, and how many of its ranges may repeat the one before while the
// track moves by how much m. Without `keep` nothing changes.
inline PyObject * attend(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  double time = 0.0, at = 0.0, common = 0.0;
  if (!arguments(count, 17) || !number(given[2], time) || !number(given[7], at) ||
    !number(given[10], common))
  {
    return nullptr;
  }
  const int64_t rows = PyLong_AsLong(given[15]);
  if (PyErr_Occurred()) {return nullptr;}
  const In places(given[0]), limits(given[1]);
  const Out used(given[12]), last(given[13]), window(given[14]), lasting(given[16]);
  const AttendCall call(
    places, limits, time, given + 3, at, given[8], given[9], common, used, last, window, rows,
    lasting);
  uint64_t beyond = 0;
  int unused = 0;
  if (!call.plain(beyond, unused, false)) {Py_RETURN_NONE;}
  const long long left = given[11] == Py_True ? call.take() : call.count;
  return Py_BuildValue("LK", left, static_cast<unsigned long long>(beyond));
}

// A track (R, 1 + axes) that is written on: whether there is room for one row more.
inline bool has_room(const Array & track, int64_t before, int64_t axes)
{
  return axes && track.ok() && track.last_axis() == 1 + axes && before >= 0 &&
         (before + 1) * (1 + axes) <= track.count();
}

// How many rows the track has with this one, and without those from before time - reach s.
inline int64_t remembered(
  const Array & track, int64_t before, int64_t axes, double time, const double * mean, double reach)
{
  const int64_t width = 1 + axes;
  double * rows = track.data<double>(), * end = rows + before * width;
  *end = time;
  std::copy_n(mean, axes, end + 1);
  double * begin = rows;
  while (begin < end && *begin < time - reach) {begin += width;}
  if (begin > rows) {std::memmove(rows, begin, sizeof(double) * (end + width - begin));}
  return (end + width - begin) / width;
}

// remember(track (R, 1 + D), how many, time, mean (2D), reach s): how many rows the track has now;
// -1: there is no room.
inline PyObject * remember(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  double time = 0.0, reach = 0.0;
  if (!arguments(count, 5) || !number(given[2], time) || !number(given[4], reach)) {return nullptr;}
  const int64_t before = PyLong_AsLong(given[1]);
  if (PyErr_Occurred()) {return nullptr;}
  const Out track(given[0]);
  const In mean(given[3]);
  const int64_t axes = mean.holds(4) ? 2 : mean.holds(6) ? SPACE : 0;
  if (!has_room(track, before, axes)) {return PyLong_FromLong(-1);}
  return PyLong_FromLongLong(
    remembered(track, before, axes, time, mean.data<double>(), reach));
}

inline PyObject * dict_of(const ByAnchor & values)
{
  PyObject * found = PyDict_New();
  for (size_t i = 0; found && i < values.size(); i++) {
    PyObject * key = PyLong_FromLongLong(values[i].first);
    PyObject * value = PyFloat_FromDouble(values[i].second);
    if (!key || !value || PyDict_SetItem(found, key, value) < 0) {Py_CLEAR(found);}
    Py_XDECREF(key);
    Py_XDECREF(value);
  }
  return found;
}

// medians(anchor (N,), value (N,)): dict of each anchor's median, anchors increasing, or None.
inline PyObject * medians_of(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 2)) {return nullptr;}
  const Indices anchor(given[0]);
  const In value(given[1]);
  if (!anchor.ok() || !value.holds(anchor.count()) ||
    !finite(value.data<double>(), anchor.count()))
  {
    Py_RETURN_NONE;
  }
  ByAnchor each(anchor.count());
  for (size_t i = 0; i < each.size(); i++) {
    each[i] = {anchor.data<int64_t>()[i], value.data<double>()[i]};
  }
  return dict_of(medians(std::move(each)));
}

// A track held against a window: its arguments, borrowed while it lives.
struct HoldCall
{
  HoldCall(
    const Array & places_, const Array & constants_, const Array & rows_, const Array & track_,
    const Array & named_)
  : places(places_), constants(constants_), track(track_), rows(rows_), named(named_) {}

  // Of the window's `many` rows `left` are left; false: numpy's turn.
  bool run(int64_t many, int64_t tracked, double now, int & left, Held & held) const
  {
    const int64_t width = track.ok() && track.last_axis() == 4 ? 4 : 3;
    const int64_t anchors = places.ok() ? places.count() / SPACE : 0;
    if (!places.ok() || !constants.holds(10) || !track.ok() || !rows.ok() || !named.ok() ||
      many < 0 || many * 3 > rows.count() || tracked < 1 || tracked * width > track.count() ||
      track.last_axis() != width || many > 1000000 || !std::isfinite(now) ||
      !finite(rows.data<double>(), many * 3) || !finite(track.data<double>(), tracked * width))
    {
      return false;
    }
    Range * table = reinterpret_cast<Range *>(rows.data<double>());
    for (int64_t i = 0; i < many; i++) {
      if (!(table[i].anchor >= 0.0 && table[i].anchor < anchors)) {return false;}
    }
    std::vector<char> out(anchors, 0);
    for (int64_t i = 0; i < named.count(); i++) {
      const int64_t row = named.data<int64_t>()[i];
      if (row < 0 || row >= anchors) {return false;}
      out[row] = 1;
    }
    const double * c = constants.data<double>();
    if (!(c[5] >= 0.0 && c[5] < 1e6 && c[6] >= 0.0 && c[6] < 1e6)) {return false;}
    const Spans spans{c[2], c[3], c[4], static_cast<int>(c[5]), static_cast<int>(c[6])};
    std::vector<int> seen(anchors, 0);
    left = prune(table, static_cast<int>(many), now, spans, seen);
    const int heard = static_cast<int>(seen.size() - std::count(seen.begin(), seen.end(), 0));
    std::vector<Range> looked = heard > spans.most_anchors ?
      nearest(table, left, spans.most_anchors, seen) : std::vector<Range>(table, table + left);
    if (looked.size() >= 4) {
      held = hold(
        looked, seen, out, track.data<double>(), static_cast<int>(tracked),
        static_cast<int>(width) - 1, places.data<double>(), c[0], c[1], now, c + 7);
      held.rows = std::move(looked);
      held.seen = std::move(seen);
    }
    return std::isfinite(held.cost);
  }

  const Array & places, & constants, & track, & rows, & named;
};

// hold(places (A, 3), constants (10,), rows (R, 3), how many, track (R, 1 + D), how many, now,
//      named (N,)): rows left in the window, then cost, anchors, fit and offset of `Held`; no anchors:
// too little to hold against. None: numpy's turn.
// constants: height, floor, the spans of a window, its ranges of each anchor, its most anchors, scale
// of a residual and its growth with age, scale of the offset.
inline PyObject * hold_track(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  double now = 0.0;
  if (!arguments(count, 8) || !number(given[6], now)) {return nullptr;}
  const int64_t many = PyLong_AsLong(given[3]), tracked = PyLong_AsLong(given[5]);
  if (PyErr_Occurred()) {return nullptr;}
  const In places(given[0]), constants(given[1]), track(given[4]);
  const Out rows(given[2]);
  const Indices named(given[7]);
  const HoldCall call(places, constants, rows, track, named);
  Held held;
  int left = 0;
  if (!run([&] {return call.run(many, tracked, now, left, held);})) {Py_RETURN_NONE;}
  PyObject * fit = dict_of(held.fit);
  return fit ? Py_BuildValue("idiNd", left, held.cost, held.anchors, fit, held.offset) : nullptr;
}

// Which of the ranges a tracker under watch is given: Gate.screened of integrity/gate.py.
class Screen
{
public:
  Screen(
    const AttendCall & attend, const int64_t * spikes, const double * fit, const double * limits,
    int axes)
  : attend_(attend), before_(spikes), fit_(fit), limits_(limits), axes_(axes) {}

  // Of the ranges beyond the gate, as bits, those that are but spikes, and of others those of anchors
  // of late in doubt, into `without`; false: it is Python's to name an anchor.
  bool run(uint64_t beyond, bool open, const Array & named, uint64_t & without)
  {
    for (int64_t i = 0; i < attend_.value.last_axis(); i++) {
      if (!attend_.usable(i)) {continue;}
      const int64_t row = attend_.anchor.at<int64_t>(i), * out = named.data<int64_t>();
      if (std::find(out, out + named.count(), row) != out + named.count()) {return false;}
      bool keep = open || !(beyond >> i & 1);
      int64_t & many = spikes_[i];
      many = before_[row] + (keep ? -1 : 1);
      if (many <= 0) {
        many = 0;
      } else {
        const bool held = others_agree(row);
        if (held && many >= limits_[ACCUSED]) {return false;}
        keep = many > limits_[SPIKES] && !held;
      }
      without |= static_cast<uint64_t>(!keep) << i;
    }
    return true;
  }

  // Remember it.
  void keep(int64_t * spikes) const
  {
    for (int64_t i = 0; i < attend_.value.last_axis(); i++) {
      if (attend_.usable(i)) {spikes[attend_.anchor.at<int64_t>(i)] = spikes_[i];}
    }
  }

private:
  bool others_agree(int64_t row) const
  {
    int others = 0, agree = 0;
    for (int64_t i = 0; i < attend_.last.count(); i++) {
      if (i == row || std::isnan(fit_[i])) {continue;}
      others++;
      agree += std::fabs(fit_[i]) < limits_[AGREES];
    }
    return agree >= axes_ && 3 * agree >= 2 * others;
  }

  const AttendCall & attend_;
  const int64_t * before_;
  const double * fit_, * limits_;
  const int axes_;
  int64_t spikes_[64] = {};
};

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__WATCHING_HPP_
