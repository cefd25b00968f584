// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Elementary functions, rows of weights, and symmetric positive matrices.

#ifndef LOCDREAMER_ROS__ARITHMETIC_HPP_
#define LOCDREAMER_ROS__ARITHMETIC_HPP_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

// All of a step is compiled three times on x86-64: for any, with AVX2 and FMA, with AVX-512. What a
// few iterations from a bad place would enlarge, where FMA rounds otherwise, has AVX2 alone.
#if defined(__GNUC__) && defined(__x86_64__)
#define WIDEST __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"), flatten))
#define WIDER __attribute__((target("avx2,fma"), flatten))
#define WIDE_ALONE __attribute__((target("avx2"), flatten))
#else
#define WIDEST
#define WIDER
#define WIDE_ALONE
#endif
#define INLINE inline __attribute__((always_inline))

namespace locdreamer_ros
{

constexpr int SPACE = 3, WIDTH = 48;

using Numbers = std::vector<double>;

// On a cache line's border: wide loads then touch one line.
struct alignas(64) Row
{
  double at[WIDTH];
};

template<class Function>
WIDEST auto run_widest(const Function & function) -> decltype(function())
{
  return function();
}

template<class Function>
WIDER auto run_wider(const Function & function) -> decltype(function())
{
  return function();
}

template<class Function>
WIDE_ALONE auto run_wide_alone(const Function & function) -> decltype(function())
{
  return function();
}

enum class Vectors {ANY, AVX2, AVX512};

// The widest vectors of this processor, or narrower ones where LOCDREAMER_VECTORS names them.
inline Vectors widest()
{
#if defined(__GNUC__) && defined(__x86_64__)
  const char * named = std::getenv("LOCDREAMER_VECTORS");
  const bool any = named && std::strcmp(named, "any") == 0;
  const bool avx2 = named && std::strcmp(named, "avx2") == 0;
  if (any || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    return Vectors::ANY;
  }
  const bool all = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  return all && !avx2 ? Vectors::AVX512 : Vectors::AVX2;
#else
  return Vectors::ANY;
#endif
}

inline const Vectors VECTORS = widest();

// Run a function without arguments, in the widest vectors that this processor has.
template<class Function>
auto run(const Function & function) -> decltype(function())
{
  return VECTORS == Vectors::AVX512 ? run_widest(function) :
         VECTORS == Vectors::AVX2 ? run_wider(function) : function();
}

// The same with the same roundings everywhere.
template<class Function>
auto run_alike(const Function & function) -> decltype(function())
{
  return VECTORS == Vectors::ANY ? function() : run_wide_alone(function);
}

// Four at once: what the processor has no such vectors for, the compiler takes apart. Functions with
// fours are always inlined, so how fours are handed over does not matter.
#pragma GCC diagnostic ignored "-Wpsabi"
typedef double Four __attribute__((vector_size(32)));
typedef int64_t FourBits __attribute__((vector_size(32)));

typedef double LooseFour __attribute__((vector_size(32), aligned(8), may_alias));

INLINE Four load(const double * from) {return *reinterpret_cast<const LooseFour *>(from);}
INLINE void store(const Four & four, double * to) {*reinterpret_cast<LooseFour *>(to) = four;}

// For rows of weights, which take longest, as many at once as the processor has.
typedef double Two __attribute__((vector_size(16)));
typedef double Eight __attribute__((vector_size(64)));

// exp(x), within 1e-15 of the C library's; beyond +-708 as there, NaN stays NaN.
INLINE Four exponential(const Four & at)
{
  Four x = at;
  const Four most = {708.0, 708.0, 708.0, 708.0};
  x = x < -most ? -most : x;
  x = x > most ? most : x;
  constexpr double round = 6755399441055744.0;  // 1.5 * 2^52: the sum's low bits are the integer
  const Four shifted = x * 1.4426950408889634074 + round;
  const Four whole = shifted - round;
  const Four r = (x - whole * 6.93147180369123816490e-01) - whole * 1.90821492927058770002e-10;
  // In pairs, so that fewer operations wait for each other.
  const Four r2 = r * r, r4 = r2 * r2;
  const Four low = (1.0 + r) + r2 * (0.5 + r * (1.0 / 6.0));
  const Four middle = (1.0 / 24.0 + r * (1.0 / 120.0)) + r2 * (1.0 / 720.0 + r * (1.0 / 5040.0));
  const Four high = (1.0 / 40320.0 + r * (1.0 / 362880.0)) +
    r2 * ((1.0 / 3628800.0 + r * (1.0 / 39916800.0)) + r2 * (1.0 / 479001600.0));
  const FourBits power = ((FourBits)shifted + 1023) << 52;  // the exponent's bits of 2^whole
  return (low + r4 * (middle + r4 * high)) * (Four)power;
}

// log of positive numbers that are not tiny (1e-300), within 1e-15; infinity and NaN stay.
INLINE Four logarithm(const Four & at)
{
  const FourBits bits = (FourBits)at, one = (FourBits)(Four{1.0, 1.0, 1.0, 1.0});
  const FourBits two52 = (FourBits)(Four{0x1p52, 0x1p52, 0x1p52, 0x1p52});
  Four power = (Four)((bits >> 52) | two52) - (0x1p52 + 1023.0);  // at > 0: its sign is plain
  Four part = (Four)((bits & 0xfffffffffffff) | one);  // 1 to 2
  const FourBits high = part > 1.4142135623730951;
  part = high ? 0.5 * part : part;
  power = high ? power + 1.0 : power;
  const Four q = (part - 1.0) / (part + 1.0), z = q * q, z2 = z * z, z4 = z2 * z2;
  const Four low = (1.0 + z * (1.0 / 3.0)) + z2 * (1.0 / 5.0 + z * (1.0 / 7.0));
  const Four middle = (1.0 / 9.0 + z * (1.0 / 11.0)) + z2 * (1.0 / 13.0 + z * (1.0 / 15.0));
  const Four rest = (1.0 / 17.0 + z * (1.0 / 19.0)) + z2 * (1.0 / 21.0);
  const Four found = power * 0.69314718055994530942 + 2.0 * q * (low + z4 * (middle + z4 * rest));
  return at < 1e300 ? found : at;
}

// log(1 + x^2), within 1e-15.
INLINE Four log_of_one_and_square(const Four & x) {return logarithm(1.0 + x * x);}

// x with the sign of another
INLINE Four signed_as(const Four & x, const Four & other)
{
  const FourBits sign = (FourBits)(Four{-0.0, -0.0, -0.0, -0.0});
  return (Four)(((FourBits)x & ~sign) | ((FourBits)other & sign));
}

INLINE Four magnitude(const Four & x) {return x < 0.0 ? -x : x;}

INLINE Four root(const Four & x)
{
  Four found;
  for (int i = 0; i < 4; i++) {found[i] = std::sqrt(x[i]);}
  return found;
}

INLINE bool all(const FourBits & which) {return (which[0] & which[1] & which[2] & which[3]) != 0;}

// asinh(x), within 1e-15; beyond 1e150 infinity.
INLINE Four inverse_sinh(const Four & x)
{
  const Four size = magnitude(x);
  return signed_as(logarithm(size + root(1.0 + size * size)), x);
}

// Lengths as the network sees them: fine near 0, coarse far off.
INLINE Four squash(const Four & metres) {return inverse_sinh(metres / 0.1) / 3.0;}

// limit * tanh(x / limit), within 1e-15
INLINE Four limited(const Four & x, double limit)
{
  const Four size = magnitude(x) / limit;
  return signed_as(limit - 2.0 * limit / (exponential(2.0 * size) + 1.0), x);
}

// A function of fours, in place, for values (count).
template<class Function>
INLINE void in_fours(double * values, int count, const Function & function)
{
  int i = 0;
  for (; i + 4 <= count; i += 4) {
    Four four = load(values + i);
    function(four);
    store(four, values + i);
  }
  if (i == count) {return;}
  Four rest = {1.0, 1.0, 1.0, 1.0};
  for (int j = 0; j < 4 && i + j < count; j++) {rest[j] = values[i + j];}
  function(rest);
  for (int j = 0; j < 4 && i + j < count; j++) {values[i + j] = rest[j];}
}

INLINE void silu(double * values, int count)
{
  in_fours(values, count, [](Four & x) {x /= 1.0 + exponential(-x);});
}

// out (ROWS) += in (ROWS, count) @ weight (count rows); WIDE vectors of columns at a time.
template<class Vector, int ROWS, int WIDE>
INLINE void accumulate_rows(
  const double * in, int stride, int count, const Row * weight, Row * out)
{
  typedef Vector Of __attribute__((aligned(alignof(Vector)), may_alias));  // rows are aligned
  constexpr int LONG = sizeof(Vector) / sizeof(double);
  for (int column = 0; column < WIDTH; column += LONG * WIDE) {
    Vector sum[ROWS][WIDE];
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; r++) {
#pragma GCC unroll 12
      for (int w = 0; w < WIDE; w++) {
        sum[r][w] = *reinterpret_cast<const Of *>(out[r].at + column + LONG * w);
      }
    }
    for (int i = 0; i < count; i++) {
#pragma GCC unroll 12
      for (int w = 0; w < WIDE; w++) {
        const Vector some = *reinterpret_cast<const Of *>(weight[i].at + column + LONG * w);
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; r++) {sum[r][w] += in[r * stride + i] * some;}
      }
    }
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; r++) {
#pragma GCC unroll 12
      for (int w = 0; w < WIDE; w++) {
        *reinterpret_cast<Of *>(out[r].at + column + LONG * w) = sum[r][w];
      }
    }
  }
}

// out (rows) += in (rows, count) @ weight (count rows): a weight that is loaded serves three rows.
// The sums of THREE and of ONE fill the registers.
template<class Vector, int THREE, int ONE>
INLINE void accumulate_in(
  const double * in, int stride, int rows, int count, const Row * weight, Row * out)
{
  int r = 0;
  for (; r + 3 <= rows; r += 3) {
    accumulate_rows<Vector, 3, THREE>(in + r * stride, stride, count, weight, out + r);
  }
  for (; r < rows; r++) {
    accumulate_rows<Vector, 1, ONE>(in + r * stride, stride, count, weight, out + r);
  }
}

INLINE void accumulate(
  const double * in, int stride, int rows, int count, const Row * weight, Row * out)
{
  if (VECTORS == Vectors::AVX512) {
    accumulate_in<Eight, 6, 6>(in, stride, rows, count, weight, out);
  } else if (VECTORS == Vectors::AVX2) {
    accumulate_in<Four, 4, 12>(in, stride, rows, count, weight, out);
  } else {
    accumulate_in<Two, 4, 12>(in, stride, rows, count, weight, out);
  }
}

INLINE double dot(const double * a, const double * b, int count)
{
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
  int i = 0;
  for (; i + 4 <= count; i += 4) {store(load(to + i) + factor * load(from + i), to + i);}
  for (; i < count; i++) {to[i] += factor * from[i];}
}

// to (count) = from (count) * (factor * each (count))
INLINE void scaled(
  const double * from, const double * each, double factor, int count, double * to)
{
  int i = 0;
  for (; i + 4 <= count; i += 4) {store(load(from + i) * (factor * load(each + i)), to + i);}
  for (; i < count; i++) {to[i] = from[i] * (factor * each[i]);}
}

INLINE bool finite(const double * values, size_t count)
{
  Four sum = {0.0, 0.0, 0.0, 0.0};
  double rest = 0.0;
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {sum += 0.0 * load(values + i);}
  for (; i < count; i++) {rest += 0.0 * values[i];}
  return (sum[0] + sum[1]) + (sum[2] + sum[3]) + rest == 0.0;  // NaN where one was none
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
