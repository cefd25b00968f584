// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Foresight of zero_shot/foresight.py, a row at a time.

#ifndef LOCDREAMER_ROS__FORESIGHT_HPP_
#define LOCDREAMER_ROS__FORESIGHT_HPP_

#include <cmath>
#include <cstdint>
#include <vector>

#include "network.hpp"

namespace locdreamer_ros
{

// What ranges of some anchors, not asked yet, would say. There is one at a time: what it works on is kept.
class Ahead
{
public:
  // mean and covariance of a state; places (A, 3), slot (A) of a site's anchors, rows (count) of those
  // looked at.
  Ahead(
    const Network & net, int slots, const double * mean, const double * covariance,
    const double * places, const int64_t * slot, const int64_t * rows, int count)
  : slots_(slots), size_(FIRST + 2 * slots), count_(count), p_(covariance)
  {
    along_.resize(static_cast<size_t>(count) * SPACE);
    slot_.resize(count);
    less_.resize(count);
    // Once there is one stranger's variance between two of them, they would share it: they do not.
    const double alone = p_[FIRST * (size_ + 1)] + p_[(FIRST + slots) * (size_ + 1)];
    double * x = along(0), * y = along(1), * z = along(2);
    for (int k = 0; k < count; k++) {
      const double * place = places + rows[k] * SPACE;
      x[k] = mean[0] - place[0];
      y[k] = mean[1] - place[1];
      z[k] = mean[2] - place[2];
      slot_[k] = static_cast<int>(slot[rows[k]]);
      less_[k] = slot_[k] == 0 ? alone : 0.0;
    }
    for (int k = 0; k < count; k++) {  // as `slant`, several at once
      const double length = std::sqrt(square(x[k]) + square(y[k]) + square(z[k]));
      const double distance = length > net.floor ? length : net.floor;
      x[k] /= distance;
      y[k] /= distance;
      z[k] /= distance;
    }
  }

  void position(int axes, double * to) const
  {
    for (int i = 0; i < axes; i++) {
      for (int j = 0; j < axes; j++) {to[i * axes + j] = p_[i * size_ + j];}
    }
  }

  // What the range of one anchor has to do with the position (axes) and with all ranges (count).
  INLINE void row(int k, int axes, double * cross, double * row) const
  {
    spread_.resize(size_);
    bias_.resize(count_);
    const size_t size = size_;
    const double * p = p_, * own = p + (FIRST + slot_[k]) * size, * local = own + slots_ * size;
    const double * x = along(0), * y = along(1), * z = along(2);
    const double ux = x[k], uy = y[k], uz = z[k];
    double * with = spread_.data(), * biases = with + FIRST;
    across(
      size_, [&](int j, auto some) {
        using Some = decltype(some);
        some = ux * load<Some>(p + j) + uy * load<Some>(p + size + j) +
          uz * load<Some>(p + 2 * size + j) + load<Some>(p + COMMON * size + j) +
          load<Some>(own + j) + load<Some>(local + j);
        store(some, with + j);
      });
    for (int i = 0; i < axes; i++) {cross[i] = with[i];}
    add(biases + slots_, 1.0, slots_, biases);
    for (int m = 0; m < count_; m++) {bias_[m] = biases[slot_[m]];}
    double * less = less_.data();
    const bool stranger = slot_[k] == 0;
    const double common = with[COMMON], kept = less[k];
    less[k] = 0.0;  // but with itself it shares it
    across(
      count_, [&](int m, auto sum) {
        using Some = decltype(sum);
        sum = with[0] * load<Some>(x + m) + with[1] * load<Some>(y + m);
        sum += with[2] * load<Some>(z + m);
        sum += common + load<Some>(bias_.data() + m);
        if (stranger) {sum -= load<Some>(less + m);}
        store(sum, row + m);
      });
    less[k] = kept;
  }

  // Of all what `row` says of the position, into cross (count, axes), and of themselves, into the
  // diagonal of ranges (count, count).
  void glance(int axes, double * cross, double * ranges) const
  {
    // By slot, what its biases have to do with each axis, and their variance: then by anchor.
    spread_.resize(static_cast<size_t>(SPACE + 1) * slots_);
    bias_.resize(static_cast<size_t>(SPACE + 1) * count_);
    for (int i = 0; i < SPACE; i++) {
      const double * own = p_ + i * size_ + FIRST, common = own[COMMON - FIRST];
      across(
        slots_, [&](int s, auto sum) {
          using Some = decltype(sum);
          sum = common + load<Some>(own + s) + load<Some>(own + slots_ + s);
          store(sum, &spread_[i * slots_ + s]);
        });
    }
    for (int s = 0; s < slots_; s++) {
      const size_t own = FIRST + s, local = own + slots_;
      const double * of_own = p_ + own * size_, * of_local = p_ + local * size_;
      spread_[SPACE * slots_ + s] = p_[COMMON * (size_ + 1)] + of_own[own] + of_local[local] +
        2.0 * (of_own[COMMON] + of_local[COMMON] + of_local[own]);
    }
    for (int i = 0; i <= SPACE; i++) {
      for (int k = 0; k < count_; k++) {bias_[i * count_ + k] = spread_[i * slots_ + slot_[k]];}
    }
    across(
      count_, [&](int k, auto variance) {
        using Some = decltype(variance);
        variance = load<Some>(&bias_[SPACE * count_ + k]);
        for (int i = 0; i < SPACE; i++) {
          const Some biased = load<Some>(&bias_[i * count_ + k]);
          Some with = biased;
          for (int j = 0; j < SPACE; j++) {with += p_[i * size_ + j] * load<Some>(along(j) + k);}
          variance += load<Some>(along(i) + k) * (with + biased);
          store(with, &bias_[i * count_ + k]);
        }
        store(variance, &bias_[SPACE * count_ + k]);
      });
    for (int k = 0; k < count_; k++) {
      for (int i = 0; i < axes; i++) {cross[k * axes + i] = bias_[i * count_ + k];}
      ranges[static_cast<size_t>(k) * (count_ + 1)] = bias_[SPACE * count_ + k];
    }
  }

  // All of it: position (axes, axes), cross (count, axes), ranges (count, count).
  void all(int axes, double * covariance, double * cross, double * ranges) const
  {
    position(axes, covariance);
    for (int k = 0; k < count_; k++) {
      row(k, axes, cross + k * axes, ranges + static_cast<size_t>(k) * count_);
    }
  }

private:
  double * along(int axis) const {return along_.data() + static_cast<size_t>(axis) * count_;}

  const int slots_, size_, count_;
  const double * p_;
  // Directions by axis, so that a loop over anchors takes several at once.
  static inline Numbers along_, less_, spread_, bias_;
  static inline std::vector<int> slot_;
};

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__FORESIGHT_HPP_
