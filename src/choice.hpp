// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// The choice of schedulers/foresight.py under a foresight.

#ifndef LOCDREAMER_ROS__CHOICE_HPP_
#define LOCDREAMER_ROS__CHOICE_HPP_

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "arithmetic.hpp"

namespace locdreamer_ros
{

// A subset that grows by one anchor at a time, with the factors L D L^T of its ranges, and what is left
// beside it of all anchors at once.
template<int AXES>
class Choice
{
public:
  // weights (AXES): what the variance along each axis counts.
  Choice(
    const double * cross, const double * ranges, const double * weights, int count, int budget,
    double sigma)
  : ranges_(ranges), count_(count)
  {
    static Numbers room;  // kept from one to the next: there is one choice at a time
    const size_t levels = budget + 1;
    room.resize(levels * (OF_LEVEL * count + 1) + OF_ALL * count);
    levels_ = room.data();
    all_ = levels_ + levels * OF_LEVEL * count;
    gained_ = all_ + OF_ALL * count;
    gained_[0] = 0.0;
    double roots[AXES];
    for (int a = 0; a < AXES; a++) {roots[a] = std::sqrt(weights[a]);}
    for (int i = 0; i < count; i++) {
      pivot(0)[i] = ranges[static_cast<size_t>(i) * count + i] + sigma * sigma;
      good_ = good_ && pivot(0)[i] > 0.0 && pivot(0)[i] < HUGE_VAL;
      for (int a = 0; a < AXES; a++) {left(0, a)[i] = cross[i * AXES + a] * roots[a];}
      number()[i] = i;
      most()[i] = -HUGE_VAL;
      least()[i] = HUGE_VAL;
      unsound()[i] = 0.0;
      bar(i, false);
    }
  }

  int depth() const {return depth_;}
  double gained() const {return gained_[depth_];}
  void drop() {depth_--;}
  void clear() {depth_ = 0;}

  // Whether an anchor may be the one that is added.
  void bar(int anchor, bool is) {barred()[anchor] = is ? -HUGE_VAL : 0.0;}

  // The anchor with which the subset would gain most, if that is more than `most` m^2, and how much;
  // false: not all is a number.
  INLINE bool best(int & anchor, double & most)
  {
    // By lane.
    double gained[8], which[8], lowest[8], odd[8] = {};
    std::fill_n(gained, 8, most);
    std::fill_n(which, 8, -1.0);
    std::fill_n(lowest, 8, HUGE_VAL);
    weigh([&](int i, const auto & gain, const auto & pivots) __attribute__((always_inline)) {
        using Some = std::decay_t<decltype(gain)>;
        const Some free = gain + load<Some>(barred() + i), before = load<Some>(gained);
        const Some at = load<Some>(number() + i), least = load<Some>(lowest);
        store(free > before ? at : load<Some>(which), which);
        store(free > before ? free : before, gained);
        store(pivots < least ? pivots : least, lowest);
        store(load<Some>(odd) + 0.0 * gain, odd);
      });
    int lane = 0;
    double bad = 0.0;
    for (int i = 0; i < 8; i++) {
      bad += odd[i];
      good_ = good_ && lowest[i] > 0.0;
      if (which[i] >= 0.0 && (which[lane] < 0.0 || gained[i] > gained[lane] ||
        (gained[i] == gained[lane] && which[i] < which[lane])))
      {
        lane = i;
      }
    }
    if (which[lane] >= 0.0) {
      most = gained[lane];
      anchor = static_cast<int>(which[lane]);
    }
    return good_ && bad == 0.0;
  }

  INLINE bool push(int anchor)
  {
    const int d = depth_;
    const double pivoted = pivot(d)[anchor];
    double told[AXES], sum = 0.0;
    for (int a = 0; a < AXES; a++) {
      told[a] = left(d, a)[anchor];
      sum += told[a] * told[a];
    }
    sum = gained_[d] + sum / pivoted;
    if (!(good_ && pivoted > 0.0 && std::isfinite(sum))) {return false;}
    const double precision = 1.0 / pivoted;
    across(
      count_, [&](int i, auto value) __attribute__((always_inline)) {
        using Some = decltype(value);
        value = between<Some>(anchor, i);
        const Some part = value * precision;
        store(value, row(d) + i);
        store(part, share(d) + i);
        store(load<Some>(pivot(d) + i) - part * value, pivot(d + 1) + i);
        for (int a = 0; a < AXES; a++) {
          store(load<Some>(left(d, a) + i) - part * told[a], left(d + 1, a) + i);
        }
      });
    gained_[++depth_] = sum;
    return true;
  }

  // Try each two anchors more, of which the first is `next` or later. head: the number of the subset.
  INLINE void try_pairs(int next, int head)
  {
    const int d = depth_;
    weigh([](auto && ...) {});
    across(
      count_, [&](int i, auto at) __attribute__((always_inline)) {
        using Some = decltype(at);
        const int end = std::min(i + LANES<Some>, count_) - 1;
        if (end < next + 1) {return;}
        at = load<Some>(number() + i);
        const Some pivots = load<Some>(pivot(d) + i);
        Some best = load<Some>(most() + i), which = load<Some>(pair() + i);
        Some lowest = load<Some>(least() + i), odd = load<Some>(unsound() + i), lefts[AXES];
        for (int a = 0; a < AXES; a++) {lefts[a] = load<Some>(left(d, a) + i);}
        for (int first = next; first < end; first++) {
          const Some value = between<Some>(first, i), part = value * precision()[first];
          const Some pivoted = pivots - part * value;
          Some sum = Some{};
          for (int a = 0; a < AXES; a++) {
            const Some some = lefts[a] - part * left(d, a)[first];
            sum += some * some;
          }
          sum = with()[first] + sum / pivoted;
          lowest = pivoted < lowest ? pivoted : lowest;
          odd += 0.0 * sum;
          sum = at > static_cast<double>(first) ? sum : Some{} - HUGE_VAL;
          which = sum > best ? Some{} + static_cast<double>(head * count_ + first) : which;
          best = sum > best ? sum : best;
        }
        store(best, most() + i);
        store(which, pair() + i);
        store(lowest, least() + i);
        store(odd, unsound() + i);
      });
  }

  // Of all that was tried the best: the number of the subset, and the two; false: not all were numbers.
  bool tried(int & head, int & first, int & second) const
  {
    double bad = 0.0;
    int at = -1;
    bool good = good_;
    for (int i = 0; i < count_; i++) {
      bad += unsound()[i];
      good = good && least()[i] > 0.0;
      const bool better = at < 0 || most()[i] > most()[at] ||
        (most()[i] == most()[at] && pair()[i] < pair()[at]);
      if (most()[i] > -HUGE_VAL && better) {at = i;}
    }
    if (!(good && bad == 0.0 && at >= 0)) {return false;}
    second = at;
    head = static_cast<int>(pair()[at]) / count_;
    first = static_cast<int>(pair()[at]) % count_;
    return true;
  }

private:
  static constexpr int OF_LEVEL = AXES + 3, OF_ALL = 8;

  // Of all anchors, beside so many taken: the variance of its range that is left, and what that has to
  // do with each axis; with the one that is taken next, and as a share of that one's.
  double * pivot(int depth) const {return levels_ + static_cast<size_t>(depth) * OF_LEVEL * count_;}
  double * row(int depth) const {return pivot(depth) + count_;}
  double * share(int depth) const {return row(depth) + count_;}
  double * left(int depth, int axis) const {return share(depth) + (1 + axis) * count_;}
  // Of all anchors now: what it would gain, the inverse of what is left of its variance; and 0, or less
  // than any gain where it may not be added.
  double * with() const {return all_;}
  double * precision() const {return all_ + count_;}
  double * barred() const {return all_ + 7 * count_;}
  // Of all pairs by their second: its number; the most that was gained, and with which head and
  // first; the least that was left of a variance; 0, or NaN where something was no number.
  double * number() const {return all_ + 2 * count_;}
  double * most() const {return all_ + 3 * count_;}
  double * pair() const {return all_ + 4 * count_;}
  double * least() const {return all_ + 5 * count_;}
  double * unsound() const {return all_ + 6 * count_;}

  // What the ranges of one anchor and of others have to do with each other beside those taken.
  template<class Some>
  INLINE Some between(int anchor, int i) const
  {
    Some value = load<Some>(ranges_ + static_cast<size_t>(anchor) * count_ + i);
    for (int j = 0; j < depth_; j++) {value -= share(j)[anchor] * load<Some>(row(j) + i);}
    return value;
  }

  // What the subset with each anchor would gain, m^2; `seen` is told it and what is left of variances.
  template<class Seen>
  INLINE void weigh(const Seen & seen)
  {
    across(
      count_, [&](int i, auto sum) __attribute__((always_inline)) {
        using Some = decltype(sum);
        sum = Some{};
        for (int a = 0; a < AXES; a++) {
          const Some some = load<Some>(left(depth_, a) + i);
          sum += some * some;
        }
        const Some pivots = load<Some>(pivot(depth_) + i), inverse = 1.0 / pivots;
        const Some gain = gained_[depth_] + sum * inverse;
        store(inverse, precision() + i);
        store(gain, with() + i);
        seen(i, gain, pivots);
      });
  }

  const double * ranges_;
  const int count_;
  double * levels_, * all_, * gained_;
  bool good_ = true;  // all variances are positive, and finite
  int depth_ = 0;
};

// Every subset in the order of itertools.combinations: the first of the best.
template<int AXES>
INLINE bool try_all(Choice<AXES> & choice, int count, int budget, std::vector<int> & best)
{
  if (budget == 1) {
    double most = -HUGE_VAL;
    best.assign(1, -1);
    return choice.best(best[0], most) && best[0] >= 0;
  }
  static std::vector<int> now, heads;  // subsets without their last two
  const int size = budget - 2;
  heads.clear();
  now.resize(size);
  int next = 0, many = 0;
  while (true) {
    const int depth = choice.depth();
    if (depth == size) {
      choice.try_pairs(next, many++);
      heads.insert(heads.end(), now.begin(), now.end());
    } else if (next <= count - (budget - depth)) {
      if (!choice.push(next)) {return false;}
      now[depth] = next++;
      continue;
    }
    if (depth == 0) {break;}
    choice.drop();
    next = now[depth - 1] + 1;
  }
  int head, first, second;
  if (!choice.tried(head, first, second)) {return false;}
  best.assign(heads.begin() + head * size, heads.begin() + (head + 1) * size);
  best.insert(best.end(), {first, second});
  return true;
}

// One by one, then exchanged as long as it helps. need: is told of an anchor before its ranges are.
template<int AXES, class Need>
INLINE bool exchange(
  Choice<AXES> & choice, int budget, double present, double clearly, const Need & need,
  std::vector<int> & chosen)
{
  chosen.clear();
  const auto add = [&](int anchor) {
      if (anchor < 0) {return false;}
      need(anchor);
      choice.bar(anchor, true);
      chosen.push_back(anchor);
      return choice.push(anchor);
    };
  for (int i = 0; i < budget; i++) {
    int anchor = -1;
    double most = -HUGE_VAL;
    if (!choice.best(anchor, most) || !add(anchor)) {return false;}
  }
  double least = present - choice.gained();
  int settled = budget - 1;  // beside all others it is the best
  while (true) {
    int place = -1, anchor = -1;
    double most = -HUGE_VAL;
    for (int i = 0; i < budget; i++) {
      if (i == settled) {continue;}
      choice.clear();
      for (int j = 0; j < budget; j++) {
        if (j != i && !choice.push(chosen[j])) {return false;}
      }
      const double before = most;
      if (!choice.best(anchor, most)) {return false;}
      if (most > before) {place = i;}
    }
    if (!(least - (present - most) > clearly * std::fabs(least))) {break;}
    least = present - most;
    need(anchor);
    choice.bar(chosen[place], false);
    choice.bar(anchor, true);
    chosen[place] = anchor;
    settled = place;
  }
  std::sort(chosen.begin(), chosen.end());
  return true;
}

// Whether there are at most `most` subsets.
inline bool few(int count, int budget, double most)
{
  double subsets = 1.0;
  for (int i = 1; i <= budget; i++) {
    subsets *= static_cast<double>(count - budget + i) / i;
    if (subsets > most + 0.5) {return false;}
  }
  return true;
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__CHOICE_HPP_
