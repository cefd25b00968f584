// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Elementary functions, rows of weights, and symmetric positive matrices.

#ifndef LOCDREAMER_ROS__ARITHMETIC_HPP_
#define LOCDREAMER_ROS__ARITHMETIC_HPP_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

// The two loops that take the time are compiled for wider vectors as well, where the loader can
// choose between versions. Sanitizers do not go with that.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__) && \
  !defined(__SANITIZE_ADDRESS__)
#define WIDER __attribute__((target_clones("avx2,fma", "default")))
#else
#define WIDER
#endif

namespace locdreamer_ros
{

constexpr int SPACE = 3, WIDTH = 48;

using Numbers = std::vector<double>;

// On a cache line's border: wide loads then touch one line.
struct alignas(64) Row
{
  double at[WIDTH];
};

// exp(x) that a compiler can do several of at once; within 2e-16 of the C library's, NaN stays NaN.
inline double exponential(double x)
{
  x = x < -708.0 ? -708.0 : x;
  x = x > 708.0 ? 708.0 : x;
  constexpr double round = 6755399441055744.0;  // 1.5 * 2^52: the sum's low bits are the integer
  const double shifted = x * 1.4426950408889634074 + round;
  const double whole = shifted - round;
  const double r = (x - whole * 6.93147180369123816490e-01) - whole * 1.90821492927058770002e-10;
  double sum = 1.0 / 6227020800.0;
  constexpr double terms[] = {
    1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0, 1.0 / 362880.0, 1.0 / 40320.0,
    1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0};
  for (double term : terms) {sum = sum * r + term;}
  uint64_t power;
  std::memcpy(&power, &shifted, sizeof power);
  power = (power + 1023) << 52;  // the exponent's bits of 2^whole
  double factor;
  std::memcpy(&factor, &power, sizeof factor);
  return sum * factor;
}

WIDER inline void silu(double * values, int count)
{
  for (int i = 0; i < count; i++) {values[i] = values[i] / (1.0 + exponential(-values[i]));}
}

// out += in (count) @ weight (count rows)
WIDER inline void accumulate(const double * in, int count, const Row * weight, Row & out)
{
  double * __restrict sum = out.at;
  int i = 0;
  for (; i + 4 <= count; i += 4) {
    const double a = in[i], b = in[i + 1], c = in[i + 2], d = in[i + 3];
    const Row * row = weight + i;
    for (int j = 0; j < WIDTH; j++) {
      sum[j] += (a * row[0].at[j] + b * row[1].at[j]) + (c * row[2].at[j] + d * row[3].at[j]);
    }
  }
  for (; i < count; i++) {
    for (int j = 0; j < WIDTH; j++) {sum[j] += in[i] * weight[i].at[j];}
  }
}

inline double dot(const double * a, const double * b, int count)
{
  double sum[4] = {0.0, 0.0, 0.0, 0.0};
  int i = 0;
  for (; i + 4 <= count; i += 4) {
    for (int j = 0; j < 4; j++) {sum[j] += a[i + j] * b[i + j];}
  }
  for (; i < count; i++) {sum[0] += a[i] * b[i];}
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

inline double squash(double metres) {return std::asinh(metres / 0.1) / 3.0;}
inline double limited(double x, double limit) {return limit * std::tanh(x / limit);}
inline double square(double x) {return x * x;}

inline bool finite(const double * values, size_t count)
{
  constexpr uint64_t exponent = 0x7ff0000000000000u;
  uint64_t odd = 0;
  for (size_t i = 0; i < count; i++) {
    uint64_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    odd |= (bits & exponent) + 0x0010000000000000u;  // runs over into the sign
  }
  return (odd >> 63) == 0;
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
