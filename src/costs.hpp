// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// What residuals cost: rho and least_cost of integrity/snapshot.py, of several places at once, each
// of which has residuals of its own (count, lanes of Vector).

#ifndef LOCDREAMER_ROS__COSTS_HPP_
#define LOCDREAMER_ROS__COSTS_HPP_

#include <algorithm>
#include <numeric>
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

// Ranges in the order of their runs, and the weights that there are.
struct Votes
{
  std::vector<Run> runs;
  std::vector<int64_t> kind;  // of each range: the row of its weight in `weight`
  Numbers weight;             // as many as bits can tell, those beyond the last unused
  int64_t mask = 0;           // of these bits

  void clear()
  {
    runs.clear();
    kind.clear();
    weight.clear();
    mask = 0;
  }
  int count() const {return static_cast<int>(kind.size());}

  // More ranges of one weight.
  void add(int more, double one)
  {
    constexpr int few = 8;
    const int64_t here = std::find(weight.begin(), weight.end(), one) - weight.begin();
    if (here == static_cast<int64_t>(weight.size())) {weight.push_back(one);}
    for (int end = count() + more, at = count(); at < end; at += few) {
      runs.push_back({std::min(at + few, end), one});
    }
    kind.resize(kind.size() + more, here);
  }

  // All ranges are there.
  void close()
  {
    for (mask = 7; mask < static_cast<int64_t>(weight.size()); mask = 2 * mask + 1) {}
    weight.resize(mask + 1, 0.0);
  }
};

// Sum of weights times log(1 + (r / s)^2) of residuals less a shift; narrow: 1 / s.
template<class Vector>
INLINE Vector cost_at(
  const double * residual, const double * narrow, const std::vector<Run> & runs,
  const Vector & shift)
{
  Vector sum = {};
  int i = 0;
  for (const Run & run : runs) {
    Vector product = Vector{} + 1.0;
    for (; i < run.end; i++) {
      const Vector off = (load<Vector>(residual + LANES<Vector> * i) - shift) * narrow[i];
      product *= 1.0 + off * off;
    }
    sum += run.weight * logarithm(product);
  }
  return sum;
}

template<class Vector>
INLINE void exchange_where(const Bits<Vector> & which, Vector & one, Vector & other)
{
  const Vector kept = one;
  one = which ? other : one;
  other = which ? kept : other;
}

using Exchanges = std::vector<std::pair<int, int>>;

// Batcher's network: which rows of so many to compare, one after the other, until all are in order,
// where blocks of so many are already.
template<class Compare>
constexpr void sorting_network(int count, int block, const Compare & compare)
{
  for (int p = block; p < count; p *= 2) {
    for (int k = p; k >= 1; k /= 2) {
      for (int j = k % p; j + k < count; j += 2 * k) {
        for (int i = j; i < j + k && i < count - k; i++) {
          if ((i ^ (i + k)) < 2 * p) {compare(i, i + k);}
        }
      }
    }
  }
}

struct Exchange
{
  int one, other;
};

// The network of a block, known when it is compiled.
constexpr int BLOCK = 8, IN_BLOCK = 19;
struct BlockNetwork
{
  constexpr BlockNetwork()
  : exchanges()
  {
    int at = 0;
    sorting_network(
      BLOCK, 1, [&](int one, int other) {
        exchanges[at].one = one;
        exchanges[at++].other = other;
      });
  }
  Exchange exchanges[IN_BLOCK];
};
inline constexpr BlockNetwork WITHIN;

// What is left of the network once blocks are in order, kept: it takes as long as putting in order.
inline const std::vector<Exchange> & between_blocks(int count)
{
  constexpr int most = 128;
  static std::vector<Exchange> known[most], large;
  std::vector<Exchange> & found = count < most ? known[count] : large;
  if (found.empty() || count >= most) {
    found.clear();
    sorting_network(count, BLOCK, [&](int one, int other) {found.push_back({one, other});});
  }
  return found;
}

template<class Vector>
INLINE void exchange(Vector & one, Vector & other)
{
  const Vector less = lesser(one, other);
  other = greater(one, other);
  one = less;
}

template<class Vector, size_t... I>
INLINE void sort_block(Vector (& held)[BLOCK], std::index_sequence<I...>)
{
  (exchange(held[WITHIN.exchanges[I].one], held[WITHIN.exchanges[I].other]), ...);
}

// Put rows (whole blocks, lanes) in order, increasing in each lane, without branches: blocks in
// registers, then all of them. Of the rows those from `count` on are infinite.
template<class Vector>
INLINE void sort_lanes(double * rows, int count)
{
  constexpr int lanes = LANES<Vector>;
  for (int begin = 0; begin < count; begin += BLOCK) {
    double * const block = rows + lanes * begin;
    Vector held[BLOCK];
    for (int i = 0; i < BLOCK; i++) {held[i] = load<Vector>(block + lanes * i);}
    sort_block(held, std::make_index_sequence<IN_BLOCK>());
    for (int i = 0; i < BLOCK; i++) {store(held[i], block + lanes * i);}
  }
  for (const auto & [one, other] : between_blocks(count)) {
    double * const low = rows + lanes * one, * const high = rows + lanes * other;
    const Vector a = load<Vector>(low), b = load<Vector>(high);
    store(lesser(a, b), low);
    store(greater(a, b), high);
  }
}

// Of each lane the number in a row of its own.
template<class Vector>
INLINE Vector looked_up(const Numbers & table, const Bits<Vector> & row)
{
#if defined(__GNUC__) && !defined(__clang__)
  if (LANES<Vector> == 8 && table.size() == 8) {
    return __builtin_shuffle(load<Vector>(table.data()), row);
  }
#endif
  Vector found;
  for (int i = 0; i < LANES<Vector>; i++) {found[i] = table[row[i]];}
  return found;
}

// The weighted median of each lane's residuals, to the last bits, which say their weights meanwhile.
template<class Vector>
INLINE Vector weighted_median(const double * residual, const Votes & votes)
{
  using Integers = Bits<Vector>;
  constexpr int lanes = LANES<Vector>;
  static Blocks room_of_sorted, room_of_sums;
  const int count = votes.count();
  double * const sorted = room(room_of_sorted, lanes * (count + BLOCK));
  double * const sums = room(room_of_sums, lanes * count);
  for (int i = 0; i < count; i++) {
    const Integers bits = (Integers)load<Vector>(residual + lanes * i);
    store((Vector)((bits & ~votes.mask) | votes.kind[i]), sorted + lanes * i);
  }
  for (int i = count; i % BLOCK != 0; i++) {store(Vector{} + HUGE_VAL, sorted + lanes * i);}
  sort_lanes<Vector>(sorted, count);
  // Which one is in the middle hangs on the sum of weights in this order, as numpy makes it.
  Vector whole = {};
  for (int i = 0; i < count; i++) {
    const Integers bits = (Integers)load<Vector>(sorted + lanes * i);
    whole += looked_up<Vector>(votes.weight, bits & votes.mask);
    store(whole, sums + lanes * i);
  }
  Vector median = load<Vector>(sorted);
  for (int i = 1; i < count; i++) {
    median = load<Vector>(sums + lanes * (i - 1)) < 0.5 * whole ?
      load<Vector>(sorted + lanes * i) : median;
  }
  return median;
}

// Least cost of residuals over no common offset or their weighted median, and which it was.
template<class Vector>
INLINE Vector least_cost(
  const double * residual, const double * narrow, const Votes & votes, double offset_scale,
  Vector & offset)
{
  const Vector median = weighted_median<Vector>(residual, votes);
  const Vector plain = cost_at(residual, narrow, votes.runs, Vector{});
  const Vector moved = cost_at(residual, narrow, votes.runs, median) +
    log_of_one_and_square(median / offset_scale);
  offset = moved < plain ? median : Vector{};
  return moved < plain ? moved : plain;
}

// Rows of values (count) in their order, increasing.
INLINE void put_in_order(const double * values, int count, std::vector<int> & order)
{
  constexpr int few = 256;
  order.resize(count);
  if (count > few) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(
      order.begin(), order.end(), [values](int a, int b) {return values[a] < values[b];});
    return;
  }
  // Of each how many are less, of four at once: no branch hangs on the values.
  double padded[few + 4];
  std::copy_n(values, count, padded);
  std::fill_n(padded + count, 4, 0.0);
  std::fill_n(order.begin(), count, -1);
  for (int i = 0; i < count; i += 4) {
    const Four here = load(padded + i);
    Bits<Four> less = {};
    for (int j = 0; j < count; j++) {less -= padded[j] < here;}
    for (int k = i; k < std::min(i + 4, count); k++) {
      int place = static_cast<int>(less[k - i]);
      while (order[place] >= 0) {place = place + 1 < count ? place + 1 : 0;}  // as many as others
      order[place] = k;
    }
  }
}

// The same of one place, whose residuals are (count).
INLINE double least_cost_of_one(
  const double * residual, const double * narrow, const Votes & votes, double offset_scale,
  double & offset)
{
  static std::vector<int> order;
  static Numbers sums, products;
  const int count = votes.count(), runs = static_cast<int>(votes.runs.size());
  put_in_order(residual, count, order);
  sums.resize(count);
  double all = 0.0;
  for (int i = 0; i < count; i++) {sums[i] = all += votes.weight[votes.kind[order[i]]];}
  int middle = 0;
  while (middle < count - 1 && sums[middle] < 0.5 * all) {middle++;}
  const double median = residual[order[middle]];
  products.assign(whole(2 * runs + 1), 1.0);
  double * const moved = products.data() + runs;
  for (int run = 0, i = 0; run < runs; run++) {
    for (; i < votes.runs[run].end; i++) {
      products[run] *= 1.0 + square(residual[i] * narrow[i]);
      moved[run] *= 1.0 + square((residual[i] - median) * narrow[i]);
    }
  }
  moved[runs] = 1.0 + square(median / offset_scale);
  in_vectors(products.data(), 2 * runs + 1, [](auto & x) {x = logarithm(x);});
  double plain = 0.0, with = 0.0;
  for (int run = 0; run < runs; run++) {
    plain += votes.runs[run].weight * products[run];
    with += votes.runs[run].weight * moved[run];
  }
  with += moved[runs];
  offset = with < plain ? median : 0.0;
  return std::min(with, plain);
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__COSTS_HPP_
