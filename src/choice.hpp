// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Foresight of zero_shot/foresight.py, and the choice of schedulers/foresight.py under it.

#ifndef LOCDREAMER_ROS__CHOICE_HPP_
#define LOCDREAMER_ROS__CHOICE_HPP_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
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
  // Each slot that occurs, once; strangers share one.
  static std::vector<int> slots_here, where, seat;  // kept: nothing is allocated
  slots_here.clear();
  where.resize(count);
  seat.assign(slots, -1);
  for (int k = 0; k < count; k++) {
    int & at = seat[slot[rows[k]]];
    if (at < 0) {
      at = static_cast<int>(slots_here.size());
      slots_here.push_back(static_cast<int>(slot[rows[k]]));
    }
    where[k] = at;
  }
  const int here = static_cast<int>(slots_here.size());
  // Where there are many anchors most are strangers, whose bias is one for all.
  const int usual = std::max(seat[0], 0);
  static std::vector<int> others;
  others.clear();
  for (int k = 0; k < count; k++) {
    if (where[k] != usual) {others.push_back(k);}
  }
  // By axes, so that a loop over anchors takes four at once.
  static Numbers direction, bias, between_strangers, nothing;
  direction.resize(static_cast<size_t>(count) * SPACE);
  bias.resize(here);
  between_strangers.resize(count);
  nothing.assign(count, 0.0);
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
    const size_t own = FIRST + slot[rows[k]], local = own + slots;
    auto spread = [&](size_t j) {
        return x[k] * p[j] + y[k] * p[size + j] + z[k] * p[2 * size + j] +
               p[COMMON * size + j] + p[own * size + j] + p[local * size + j];
      };
    const double near[] = {spread(0), spread(1), spread(2)}, common = spread(COMMON);
    for (int i = 0; i < axes; i++) {cross[k * axes + i] = near[i];}
    for (int s = 0; s < here; s++) {
      bias[s] = common + spread(FIRST + slots_here[s]) + spread(FIRST + slots + slots_here[s]);
    }
    double * row = ranges + static_cast<size_t>(k) * count;
    double * less = (slot[rows[k]] == 0 ? between_strangers : nothing).data();
    const double kept = std::exchange(less[k], 0.0);  // but with itself it shares it
    const double shared = bias[usual];
    across(
      count, [&](int m, auto along) {
        using Some = decltype(along);
        along = near[0] * load<Some>(x + m) + near[1] * load<Some>(y + m);
        along += near[2] * load<Some>(z + m);
        store(along + shared - load<Some>(less + m), row + m);
      });
    for (int other : others) {row[other] += bias[where[other]] - shared;}
    less[k] = kept;
  }
}

// A subset that grows by one anchor at a time, with the factors L D L^T of its ranges: L in
// `factor_`, 1 / D in `precision_`.
template<int AXES>
class Choice
{
public:
  // weights (AXES): what the variance along each axis counts.
  Choice(
    const double * cross, const double * ranges, const double * weights, int count, int budget,
    double sigma)
  : ranges_(ranges), count_(count), budget_(budget), noise_(sigma * sigma)
  {
    static Numbers room;  // kept from one to the next: there is one choice at a time
    static std::vector<int> places;
    const size_t crossed = static_cast<size_t>(count) * AXES, most = budget;
    room.resize(crossed + most * (most + AXES + 4) + 1);
    places.resize(most);
    cross_ = room.data();
    factor_ = cross_ + crossed;
    told_ = factor_ + most * most;
    precision_ = told_ + most * AXES;
    row_ = precision_ + most;
    share_ = row_ + most;
    gained_ = share_ + most;
    gained_[0] = 0.0;
    taken_ = places.data();
    for (size_t i = 0; i < crossed; i++) {
      cross_[i] = cross[i] * std::sqrt(weights[i % AXES]);
    }
  }

  int depth() const {return depth_;}
  double gained() const {return gained_[depth_];}
  void drop() {depth_--;}
  void clear() {depth_ = 0;}

  // What the subset with `anchor` would gain, m^2; NaN where it is not positive.
  double with(int anchor)
  {
    double pivot = ranges_[static_cast<size_t>(anchor) * count_ + anchor] + noise_;
    for (int a = 0; a < AXES; a++) {left_[a] = cross_[anchor * AXES + a];}
    for (int i = 0; i < depth_; i++) {
      double value = ranges_[static_cast<size_t>(anchor) * count_ + taken_[i]];
      for (int j = 0; j < i; j++) {value -= factor_[i * budget_ + j] * row_[j];}
      const double share = value * precision_[i];
      row_[i] = value;
      share_[i] = share;
      pivot -= share * value;
      for (int a = 0; a < AXES; a++) {left_[a] -= share * told_[i * AXES + a];}
    }
    if (!(pivot > 0.0 && pivot < HUGE_VAL)) {return std::nan("");}
    pivot_ = pivot;
    double sum = 0.0;
    for (int a = 0; a < AXES; a++) {sum += left_[a] * left_[a];}
    return gained_[depth_] + sum / pivot;
  }

  bool push(int anchor)
  {
    const double sum = with(anchor);
    if (!std::isfinite(sum)) {return false;}
    for (int j = 0; j < depth_; j++) {factor_[depth_ * budget_ + j] = share_[j];}
    precision_[depth_] = 1.0 / pivot_;
    for (int a = 0; a < AXES; a++) {told_[depth_ * AXES + a] = left_[a];}
    taken_[depth_++] = anchor;
    gained_[depth_] = sum;
    return true;
  }

private:
  const double * ranges_;
  const int count_, budget_;
  const double noise_;
  double * cross_, * factor_, * told_, * precision_, * row_, * share_, * gained_;
  int * taken_;
  double left_[AXES];
  double pivot_ = 0.0;
  int depth_ = 0;
};

// Every subset in the order of itertools.combinations.
template<int AXES>
inline bool try_all(Choice<AXES> & choice, int count, int budget, std::vector<int> & best)
{
  static std::vector<int> now;
  now.resize(budget);
  double most = -HUGE_VAL;
  int next = 0;
  while (true) {
    const int depth = choice.depth();
    if (depth == budget - 1) {
      for (int anchor = next; anchor < count; anchor++) {
        const double gained = choice.with(anchor);
        if (!std::isfinite(gained)) {return false;}
        if (gained > most) {
          most = gained;
          now[depth] = anchor;
          best = now;
        }
      }
    } else if (next <= count - (budget - depth)) {
      if (!choice.push(next)) {return false;}
      now[depth] = next++;
      continue;
    }
    if (depth == 0) {return true;}
    choice.drop();
    next = now[depth - 1] + 1;
  }
}

// One by one, then exchanged as long as it helps.
template<int AXES>
inline bool exchange(
  Choice<AXES> & choice, int count, int budget, double present, double clearly,
  std::vector<int> & chosen)
{
  std::vector<char> taken(count, 0);
  auto best_of = [&](int & anchor, double & most) {
      for (int other = 0; other < count; other++) {
        if (taken[other]) {continue;}
        const double gained = choice.with(other);
        if (!std::isfinite(gained)) {return false;}
        if (gained > most) {
          most = gained;
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
