// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Rows of numbers, and symmetric positive matrices.

#ifndef LOCDREAMER_ROS__ARITHMETIC_HPP_
#define LOCDREAMER_ROS__ARITHMETIC_HPP_

#include <cmath>
#include <cstddef>
#include <vector>

#include "vectors.hpp"

namespace locdreamer_ros
{

constexpr int SPACE = 3;

using Numbers = std::vector<double>;

// On a cache line's border: wide loads then touch one line.
struct alignas(64) Block
{
  double at[8];
};
using Blocks = std::vector<Block>;

// Room for so many numbers.
inline double * room(Blocks & blocks, size_t count)
{
  blocks.resize((count + 7) / 8);
  return blocks.data()->at;
}

INLINE double dot(const double * a, const double * b, int count)
{
  if (count < 4) {
    double few = 0.0;
    for (int i = 0; i < count; i++) {few += a[i] * b[i];}
    return few;
  }
  Four sum = {0.0, 0.0, 0.0, 0.0};
  int i = 0;
  for (; i + 4 <= count; i += 4) {sum += load(a + i) * load(b + i);}
  double rest = 0.0;
  for (; i < count; i++) {rest += a[i] * b[i];}
  return (sum[0] + sum[1]) + (sum[2] + sum[3]) + rest;
}

inline double square(double x) {return x * x;}

// to (count) += factor * from (count)
INLINE void add(const double * from, double factor, int count, double * to)
{
  across(
    count, [&](int i, auto some) {
      using Some = decltype(some);
      store(load<Some>(to + i) + factor * load<Some>(from + i), to + i);
    });
}

// to (count) = from (count) * (factor * each (count))
INLINE void scaled(
  const double * from, const double * each, double factor, int count, double * to)
{
  across(
    count, [&](int i, auto some) {
      using Some = decltype(some);
      store(load<Some>(from + i) * (factor * load<Some>(each + i)), to + i);
    });
}

// Sum of numbers of a vector.
template<class Vector>
INLINE double total(const Vector & values)
{
  double found = 0.0;
  for (int i = 0; i < LANES<Vector>; i++) {found += values[i];}
  return found;
}

template<class Vector>
INLINE bool finite_in(const double * values, size_t count)
{
  constexpr size_t step = 4 * LANES<Vector>;
  Vector a = {}, b = {}, c = {}, d = {};  // four, so that none waits for the one before
  double rest = 0.0;
  size_t i = 0;
  for (; i + step <= count; i += step) {
    a += 0.0 * load<Vector>(values + i);
    b += 0.0 * load<Vector>(values + i + LANES<Vector>);
    c += 0.0 * load<Vector>(values + i + 2 * LANES<Vector>);
    d += 0.0 * load<Vector>(values + i + 3 * LANES<Vector>);
  }
  for (; i < count; i++) {rest += 0.0 * values[i];}
  return total((a + b) + (c + d)) + rest == 0.0;  // NaN where one was none
}

INLINE bool finite(const double * values, size_t count)
{
  return VECTORS == Vectors::AVX512 ? finite_in<Eight>(values, count) :
         finite_in<Four>(values, count);
}

// Whether a covariance (n, n) is: where its variances are, what lies between them is too.
INLINE bool finite_variances(const double * covariance, int n)
{
  double sum = 0.0;
  for (int i = 0; i < n; i++) {sum += 0.0 * covariance[static_cast<size_t>(i) * (n + 1)];}
  return sum == 0.0;
}

// Lower Cholesky factor of a (n, n), in place; false where it is not positive.
inline bool cholesky(double * a, int n)
{
  for (int i = 0; i < n; i++) {
    for (int j = 0; j <= i; j++) {
      const double left = a[i * n + j] - dot(a + i * n, a + j * n, j);
      if (j < i) {
        a[i * n + j] = left / a[j * n + j];
      } else if (left > 0.0) {
        a[i * n + i] = std::sqrt(left);
      } else {
        return false;
      }
    }
  }
  return true;
}

// x (n) of L L^T x = x, in place
inline void solve(const double * factor, int n, double * x)
{
  for (int i = 0; i < n; i++) {x[i] = (x[i] - dot(factor + i * n, x, i)) / factor[i * n + i];}
  for (int i = n - 1; i >= 0; i--) {
    double left = x[i];
    for (int j = i + 1; j < n; j++) {left -= factor[j * n + i] * x[j];}
    x[i] = left / factor[i * n + i];
  }
}

// A lower factor (n, n) becomes its inverse, in place.
inline void invert_lower(double * a, int n)
{
  for (int i = 0; i < n; i++) {
    const double share = a[i * n + i] = 1.0 / a[i * n + i];
    for (int j = 0; j < i; j++) {
      double sum = 0.0;
      for (int k = j; k < i; k++) {sum += a[i * n + k] * a[k * n + j];}
      a[i * n + j] = -sum * share;
    }
  }
}

// Distance m and direction (3) of an offset (3).
inline double slant(const double * offset, double floor, double * direction)
{
  const double length =
    std::sqrt(square(offset[0]) + square(offset[1]) + square(offset[2]));
  const double distance = length > floor ? length : floor;
  for (int i = 0; i < SPACE; i++) {direction[i] = offset[i] / distance;}
  return distance;
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__ARITHMETIC_HPP_
