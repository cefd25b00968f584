// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// What residuals cost: rho and least_cost of integrity/snapshot.py, of four places at once, each of
// which has residuals of its own (count, 4).

#ifndef LOCDREAMER_ROS__COSTS_HPP_
#define LOCDREAMER_ROS__COSTS_HPP_

#include <algorithm>
#include <utility>
#include <vector>

#include "arithmetic.hpp"

namespace locdreamer_ros
{

// Ranges beside each other that have one weight, those of an anchor: up to `end`. So few, that what
// they cost is the logarithm of one product.
struct Run
{
  int end;
  double weight;
};

// More of them up to `end`.
inline void add_runs(std::vector<Run> & runs, int begin, int end, double weight)
{
  constexpr int few = 8;
  for (begin += few; begin < end; begin += few) {runs.push_back({begin, weight});}
  runs.push_back({end, weight});
}

// Sum of weights times log(1 + (r / s)^2) of residuals less a shift; narrow: 1 / s.
INLINE Four cost_at(
  const double * residual, const double * narrow, const std::vector<Run> & runs, const Four & shift)
{
  Four sum = {};
  int i = 0;
  for (const Run & run : runs) {
    Four product = {1.0, 1.0, 1.0, 1.0};
    for (; i < run.end; i++) {
      const Four off = (load(residual + 4 * i) - shift) * narrow[i];
      product *= 1.0 + off * off;
    }
    sum += run.weight * logarithm(product);
  }
  return sum;
}

INLINE void exchange_where(const FourBits & which, Four & one, Four & other)
{
  const Four kept = one;
  one = which ? other : one;
  other = which ? kept : other;
}

// Batcher's network: which rows of so many to compare, one after the other, until all are in order.
inline std::vector<std::pair<int, int>> sorting_network(int count)
{
  std::vector<std::pair<int, int>> found;
  for (int p = 1; p < count; p *= 2) {
    for (int k = p; k >= 1; k /= 2) {
      for (int j = k % p; j + k < count; j += 2 * k) {
        for (int i = j; i < std::min(j + k, count - k); i++) {
          if ((i ^ (i + k)) < 2 * p) {found.emplace_back(i, i + k);}
        }
      }
    }
  }
  return found;
}

// Put values (count, 4) in order, increasing, and weights with them, without branches.
INLINE void sort_weighted(double * value, double * weight, int count)
{
  static int known = 0;
  static std::vector<std::pair<int, int>> network;
  if (known != count) {network = sorting_network(known = count);}
  for (const auto & [one, other] : network) {
    Four a = load(value + 4 * one), b = load(value + 4 * other);
    Four c = load(weight + 4 * one), d = load(weight + 4 * other);
    const FourBits less = b < a;
    exchange_where(less, a, b);
    exchange_where(less, c, d);
    store(a, value + 4 * one);
    store(b, value + 4 * other);
    store(c, weight + 4 * one);
    store(d, weight + 4 * other);
  }
}

// Least cost of residuals over no common offset or their weighted median, and which it was.
INLINE Four least_cost(
  const double * residual, const double * narrow, const std::vector<Run> & runs,
  double offset_scale, Four & offset)
{
  static Numbers sorted, sums;
  const int count = runs.back().end;
  sorted.assign(residual, residual + 4 * count);
  sums.resize(4 * count);
  int i = 0;
  for (const Run & run : runs) {
    for (; i < run.end; i++) {store(Four{} + run.weight, &sums[4 * i]);}
  }
  sort_weighted(sorted.data(), sums.data(), count);
  Four whole = {}, median;
  for (i = 0; i < count; i++) {
    whole += load(&sums[4 * i]);
    store(whole, &sums[4 * i]);
  }
  FourBits middle = {};
  for (i = 0; i < count - 1; i++) {middle -= load(&sums[4 * i]) < 0.5 * whole;}
  for (i = 0; i < 4; i++) {median[i] = sorted[4 * middle[i] + i];}
  const Four plain = cost_at(residual, narrow, runs, Four{});
  const Four moved = cost_at(residual, narrow, runs, median) +
    log_of_one_and_square(median / offset_scale);
  offset = moved < plain ? median : Four{};
  return moved < plain ? moved : plain;
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__COSTS_HPP_
