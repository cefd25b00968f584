// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Several numbers at once, in the widest vectors that a processor has; elementary functions of them.

#ifndef LOCDREAMER_ROS__VECTORS_HPP_
#define LOCDREAMER_ROS__VECTORS_HPP_

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

// All of a step is compiled three times on x86-64: for any, with AVX2 and FMA, with AVX-512. What a
// few iterations from a bad place would enlarge, where FMA rounds otherwise, has the vectors alone.
#if defined(__GNUC__) && defined(__x86_64__)
#define WIDEST __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"), flatten))
#define WIDER __attribute__((target("avx2,fma"), flatten))
#define WIDE_ALONE __attribute__((target("avx2"), flatten, noinline))
#else
#define WIDEST
#define WIDER
#define WIDE_ALONE
#endif
// AVX-512 has FMA within: only GCC can be told to leave it.
#if defined(__GNUC__) && defined(__x86_64__) && !defined(__clang__)
#define WIDEST_ALONE WIDEST __attribute__((optimize("fp-contract=off")))
#endif
#define INLINE inline __attribute__((always_inline))

namespace locdreamer_ros
{

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

// The same with the same roundings everywhere, in fours.
template<class Function>
auto run_alike(const Function & function) -> decltype(function())
{
  return VECTORS == Vectors::ANY ? function() : run_wide_alone(function);
}

#ifdef WIDEST_ALONE
// The same in eights, where this processor has them.
template<class Function>
WIDEST_ALONE auto run_alike_in_eights(const Function & function) -> decltype(function())
{
  return function();
}
inline const bool EIGHTS_ALIKE = VECTORS == Vectors::AVX512;
#else
template<class Function>
auto run_alike_in_eights(const Function & function) -> decltype(function())
{
  return function();
}
constexpr bool EIGHTS_ALIKE = false;
#endif

// What the processor has no such vectors for, the compiler takes apart. Functions with vectors are
// always inlined, so how they are handed over does not matter.
#pragma GCC diagnostic ignored "-Wpsabi"
typedef double Four __attribute__((vector_size(32)));
typedef double Eight __attribute__((vector_size(64)));

template<class Vector>
constexpr int LANES = sizeof(Vector) / sizeof(double);

// As many integers of 64 bits: what a comparison gives, and what a number's bits are.
template<class Vector>
using Bits = decltype(Vector{} < Vector{});

// Of doubles or singles, as many as the vector has.
template<class Vector = Four, class Number>
INLINE Vector load(const Number * from)
{
  Vector found;
  std::memcpy(&found, from, sizeof found);
  return found;
}

template<class Vector, class Number>
INLINE void store(const Vector & values, Number * to) {std::memcpy(to, &values, sizeof values);}

// By lane, and unrolled, so that it is one instruction. Where one is NaN, they are still the two that
// were given.
template<class Vector>
INLINE Vector lesser(const Vector & a, const Vector & b)
{
  Vector found;
#pragma GCC unroll 8
  for (int i = 0; i < LANES<Vector>; i++) {found[i] = a[i] < b[i] ? a[i] : b[i];}
  return found;
}

template<class Vector>
INLINE Vector greater(const Vector & a, const Vector & b)
{
  Vector found;
#pragma GCC unroll 8
  for (int i = 0; i < LANES<Vector>; i++) {found[i] = b[i] > a[i] ? b[i] : a[i];}
  return found;
}

// exp(x), within 1e-15 of the C library's; beyond +-708 as there, NaN stays NaN.
template<class Vector>
INLINE Vector exponential(const Vector & at)
{
  Vector x = at;
  const Vector most = Vector{} + 708.0;
  x = x < -most ? -most : x;
  x = x > most ? most : x;
  constexpr double round = 6755399441055744.0;  // 1.5 * 2^52: the sum's low bits are the integer
  const Vector shifted = x * 1.4426950408889634074 + round;
  const Vector whole = shifted - round;
  const Vector r = (x - whole * 6.93147180369123816490e-01) - whole * 1.90821492927058770002e-10;
  // In pairs, so that fewer operations wait for each other.
  const Vector r2 = r * r, r4 = r2 * r2;
  const Vector low = (1.0 + r) + r2 * (0.5 + r * (1.0 / 6.0));
  const Vector middle = (1.0 / 24.0 + r * (1.0 / 120.0)) + r2 * (1.0 / 720.0 + r * (1.0 / 5040.0));
  const Vector high = (1.0 / 40320.0 + r * (1.0 / 362880.0)) +
    r2 * ((1.0 / 3628800.0 + r * (1.0 / 39916800.0)) + r2 * (1.0 / 479001600.0));
  const Bits<Vector> power = ((Bits<Vector>)shifted + 1023) << 52;  // the exponent's bits of 2^whole
  return (low + r4 * (middle + r4 * high)) * (Vector)power;
}

// log of positive numbers that are not tiny (1e-300), within 1e-15; infinity and NaN stay.
template<class Vector>
INLINE Vector logarithm(const Vector & at)
{
  const Vector ones = Vector{} + 1.0, two52 = Vector{} + 0x1p52;
  const Bits<Vector> bits = (Bits<Vector>)at;
  Vector power = (Vector)((bits >> 52) | (Bits<Vector>)two52) - (0x1p52 + 1023.0);  // at > 0
  Vector part = (Vector)((bits & 0xfffffffffffff) | (Bits<Vector>)ones);  // 1 to 2
  const Bits<Vector> high = part > 1.4142135623730951;
  part = high ? 0.5 * part : part;
  power = high ? power + 1.0 : power;
  const Vector q = (part - 1.0) / (part + 1.0), z = q * q, z2 = z * z, z4 = z2 * z2;
  const Vector low = (1.0 + z * (1.0 / 3.0)) + z2 * (1.0 / 5.0 + z * (1.0 / 7.0));
  const Vector middle = (1.0 / 9.0 + z * (1.0 / 11.0)) + z2 * (1.0 / 13.0 + z * (1.0 / 15.0));
  const Vector rest = (1.0 / 17.0 + z * (1.0 / 19.0)) + z2 * (1.0 / 21.0);
  const Vector found = power * 0.69314718055994530942 + 2.0 * q * (low + z4 * (middle + z4 * rest));
  return at < 1e300 ? found : at;
}

// log(1 + x^2), within 1e-15.
template<class Vector>
INLINE Vector log_of_one_and_square(const Vector & x) {return logarithm(1.0 + x * x);}

// x with the sign of another
template<class Vector>
INLINE Vector signed_as(const Vector & x, const Vector & other)
{
  const Bits<Vector> sign = (Bits<Vector>)(-Vector{});
  return (Vector)(((Bits<Vector>)x & ~sign) | ((Bits<Vector>)other & sign));
}

template<class Vector>
INLINE Vector magnitude(const Vector & x) {return x < 0.0 ? -x : x;}

template<class Vector>
INLINE Vector root(const Vector & x)
{
  Vector found;
#pragma GCC unroll 8
  for (int i = 0; i < LANES<Vector>; i++) {found[i] = std::sqrt(x[i]);}
  return found;
}

// asinh(x), within 1e-15; beyond 1e150 infinity.
template<class Vector>
INLINE Vector inverse_sinh(const Vector & x)
{
  const Vector size = magnitude(x);
  return signed_as(logarithm(size + root(1.0 + size * size)), x);
}

// Lengths as the network sees them: fine near 0, coarse far off.
template<class Vector>
INLINE Vector squash(const Vector & metres) {return inverse_sinh(metres * 10.0) * (1.0 / 3.0);}

// limit * tanh(x / limit), within 1e-15
template<class Vector>
INLINE Vector limited(const Vector & x, double limit)
{
  const Vector size = magnitude(x) / limit;
  return signed_as(limit - 2.0 * limit / (exponential(2.0 * size) + 1.0), x);
}

// Work on numbers 0 to count, as many at once as the processor has: it is told the first of them, and
// given a Vector or a number.
template<class Work>
INLINE void across(int count, const Work & work)
{
  int i = 0;
  if (VECTORS == Vectors::AVX512) {
    for (; i + 8 <= count; i += 8) {work(i, Eight{});}
  }
  for (; i + 4 <= count; i += 4) {work(i, Four{});}
  for (; i < count; i++) {work(i, 0.0);}
}

// So many numbers, or a few more: whole vectors.
constexpr int whole(int count) {return (count + 7) / 8 * 8;}

// A function of fours or eights, in place, for values (whole(count)): of those beyond it does not matter.
template<class Function>
INLINE void in_vectors(double * values, int count, const Function & function)
{
  const auto step = [&](auto some, int i) {
      some = load<decltype(some)>(values + i);
      function(some);
      store(some, values + i);
    };
  if (VECTORS == Vectors::AVX512) {
    for (int i = 0; i < count; i += 8) {step(Eight{}, i);}
  } else {
    for (int i = 0; i < count; i += 4) {step(Four{}, i);}
  }
}

template<class Vector>
INLINE void silu_of(Vector & x) {x /= 1.0 + exponential(-x);}

INLINE void silu(double * values, int count)
{
  in_vectors(values, count, [](auto & x) {silu_of(x);});
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__VECTORS_HPP_
