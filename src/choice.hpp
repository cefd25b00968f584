// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Foresight of zero_shot/foresight.py, and the choice of schedulers/foresight.py under it.

#ifndef LOCDREAMER_ROS__CHOICE_HPP_
#define LOCDREAMER_ROS__CHOICE_HPP_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "network.hpp"

namespace locdreamer_ros
{

inline void foresee(
  const Network & net, int slots, const double * mean, const double * p, const double * places,
  const int64_t * slot, const int64_t * rows, int count, int axes, double * position,
  double * cross, double * ranges)
{
  const size_t size = FIRST + 2 * slots;
  for (int i = 0; i < axes; i++) {
    for (int j = 0; j < axes; j++) {position[i * axes + j] = p[i * size + j];}
  }
  // By axes, so that a loop over anchors takes several at once.
  static Numbers direction, between_strangers, spread, bias;  // kept: nothing is allocated
  direction.resize(static_cast<size_t>(count) * SPACE);
  between_strangers.resize(count);
  spread.resize(size);
  bias.resize(count);
  double * x = direction.data(), * y = x + count, * z = y + count;
  // Once there is one stranger's variance between two of them, they would share it: they do not.
  const double alone = p[FIRST * (size + 1)] + p[(FIRST + slots) * (size + 1)];
  for (int k = 0; k < count; k++) {
    double offset[SPACE], u[SPACE];
    for (int i = 0; i < SPACE; i++) {offset[i] = mean[i] - places[rows[k] * SPACE + i];}
    slant(offset, net.floor, u);
    x[k] = u[0];
    y[k] = u[1];
    z[k] = u[2];
    between_strangers[k] = slot[rows[k]] == 0 ? alone : 0.0;
  }
  for (int k = 0; k < count; k++) {
    // What its range has to do with all of the state.
    const double * own = p + (FIRST + slot[rows[k]]) * size, * local = own + slots * size;
    const double ux = x[k], uy = y[k], uz = z[k];
    double * with = spread.data(), * biases = with + FIRST;
    across(
      size, [&](int j, auto some) {
        using Some = decltype(some);
        some = ux * load<Some>(p + j) + uy * load<Some>(p + size + j) +
          uz * load<Some>(p + 2 * size + j) + load<Some>(p + COMMON * size + j) +
          load<Some>(own + j) + load<Some>(local + j);
        store(some, with + j);
      });
    for (int i = 0; i < axes; i++) {cross[k * axes + i] = with[i];}
    add(biases + slots, 1.0, slots, biases);
    for (int m = 0; m < count; m++) {bias[m] = biases[slot[rows[m]]];}
    double * row = ranges + static_cast<size_t>(k) * count, * less = between_strangers.data();
    const bool stranger = slot[rows[k]] == 0;
    const double common = with[COMMON], kept = less[k];
    less[k] = 0.0;  // but with itself it shares it
    across(
      count, [&](int m, auto along) {
        using Some = decltype(along);
        along = with[0] * load<Some>(x + m) + with[1] * load<Some>(y + m);
        along += with[2] * load<Some>(z + m);
        along += common + load<Some>(bias.data() + m);
        if (stranger) {along -= load<Some>(less + m);}
        store(along, row + m);
      });
    less[k] = kept;
  }
}

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
    }
  }

  int depth() const {return depth_;}
  double gained() const {return gained_[depth_];}
  void drop() {depth_--;}
  void clear() {depth_ = 0;}

  // What the subset with each anchor would gain, m^2; false: not all of it is a number.
  bool weigh(const double * & gain)
  {
    double bad = good_ ? 0.0 : HUGE_VAL;
    weigh_with();
    for (int i = 0; i < count_; i++) {
      bad += 0.0 * with()[i];
      good_ = good_ && pivot(depth_)[i] > 0.0;
    }
    gain = with();
    return good_ && bad == 0.0;
  }

  bool push(int anchor)
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
  void try_pairs(int next, int head)
  {
    const int d = depth_;
    weigh_with();
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
  static constexpr int OF_LEVEL = AXES + 3, OF_ALL = 7;

  // Of all anchors, beside so many taken: the variance of its range that is left, and what that has to
  // do with each axis; with the one that is taken next, and as a share of that one's.
  double * pivot(int depth) const {return levels_ + static_cast<size_t>(depth) * OF_LEVEL * count_;}
  double * row(int depth) const {return pivot(depth) + count_;}
  double * share(int depth) const {return row(depth) + count_;}
  double * left(int depth, int axis) const {return share(depth) + (1 + axis) * count_;}
  // Of all anchors now: what it would gain, and the inverse of what is left of its variance.
  double * with() const {return all_;}
  double * precision() const {return all_ + count_;}
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

  void weigh_with()
  {
    across(
      count_, [&](int i, auto sum) __attribute__((always_inline)) {
        using Some = decltype(sum);
        sum = Some{};
        for (int a = 0; a < AXES; a++) {
          const Some some = load<Some>(left(depth_, a) + i);
          sum += some * some;
        }
        const Some inverse = 1.0 / load<Some>(pivot(depth_) + i);
        store(inverse, precision() + i);
        store(gained_[depth_] + sum * inverse, with() + i);
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
inline bool try_all(Choice<AXES> & choice, int count, int budget, std::vector<int> & best)
{
  if (budget == 1) {
    const double * gain;
    if (!choice.weigh(gain)) {return false;}
    best.assign(1, static_cast<int>(std::max_element(gain, gain + count) - gain));
    return true;
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

// One by one, then exchanged as long as it helps.
template<int AXES>
inline bool exchange(
  Choice<AXES> & choice, int count, int budget, double present, double clearly,
  std::vector<int> & chosen)
{
  std::vector<char> taken(count, 0);
  auto best_of = [&](int & anchor, double & most) {
      const double * gain;
      if (!choice.weigh(gain)) {return false;}
      for (int other = 0; other < count; other++) {
        if (!taken[other] && gain[other] > most) {
          most = gain[other];
          anchor = other;
        }
      }
      return true;
    };
  chosen.clear();
  for (int i = 0; i < budget; i++) {
    int anchor = -1;
    double most = -HUGE_VAL;
    if (!best_of(anchor, most) || !choice.push(anchor)) {return false;}
    taken[anchor] = 1;
    chosen.push_back(anchor);
  }
  double least = present - choice.gained();
  while (true) {
    int place = -1, anchor = -1;
    double most = -HUGE_VAL;
    for (int i = 0; i < budget; i++) {
      choice.clear();
      for (int j = 0; j < budget; j++) {
        if (j != i && !choice.push(chosen[j])) {return false;}
      }
      int found = -1;
      double gained = most;
      if (!best_of(found, gained)) {return false;}
      if (gained > most) {
        most = gained;
        anchor = found;
        place = i;
      }
    }
    if (!(least - (present - most) > clearly * std::fabs(least))) {break;}
    least = present - most;
    taken[chosen[place]] = 0;
    taken[anchor] = 1;
    chosen[place] = anchor;
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
