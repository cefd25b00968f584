// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// The zero-shot filter's step, its foresight and the choice of anchors, compiled. The same formulas
// in the same order as zero_shot/tracker.py, zero_shot/network.py, zero_shot/foresight.py and
// schedulers/subsets.py, which explain them and say the names; a test holds the two together.
//
// Every function returns whether it answered. Where something is not finite, not positive, not an
// array as expected, or an anchor is none of the site's, it returns False and has changed nothing:
// numpy then answers, or refuses, in its own way. The GIL is held throughout.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

// The two loops that take the time are compiled for wider vectors as well, where the loader can
// choose between versions. Sanitizers do not go with that.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__) && \
  !defined(__SANITIZE_ADDRESS__) && !defined(NO_CLONES)
#define WIDER __attribute__((target_clones("arch=haswell", "default")))
#else
#define WIDER
#endif

namespace
{

constexpr int SPACE = 3, KINEMATIC = 6, VX = 3, VZ = 5, COMMON = 6, FIRST = 7;
constexpr int WIDTH = 48, SEEN = 28, KNOWN = 26, CONTEXT = 8, HIDDEN = 16;
constexpr int SEEN_CONTEXT[] = {0, 2, 3, 4, 6};
constexpr int LEVEL[] = {0, 1, VX, VX + 1};

using Rows = std::vector<int64_t>;
using Numbers = std::vector<double>;

struct Network
{
  // Weights by input, so that a row of them is added at a time.
  double token[SEEN][WIDTH], token_bias[WIDTH];
  double pool[2 * WIDTH][WIDTH], pool_bias[WIDTH];
  double mix[2 * WIDTH][WIDTH], mix_bias[WIDTH];
  double range_head[3][WIDTH], range_bias[3];
  double motion_head[2][WIDTH], motion_bias[2];
  double climate[CONTEXT + 2][HIDDEN], climate_bias[HIDDEN];
  double climate_head[4][HIDDEN], climate_head_bias[4];
  double trust[CONTEXT + 1][HIDDEN], trust_bias[HIDDEN];
  double trust_head[HIDDEN], trust_head_bias;
  // Noises, and what `layout` and `types` fix.
  double acceleration, common_walk, own, own_time, local, local_time, local_way;
  double sigma, fast, slow, silent, vertical, floor, most_ahead;
};

// ---- arithmetic ----

// exp(x) that a compiler can do several of at once; within 2e-16 of the C library's, NaN stays NaN.
inline double exponential(double x)
{
  x = x < -708.0 ? -708.0 : x;
  x = x > 708.0 ? 708.0 : x;
  constexpr double round = 6755399441055744.0;  // 1.5 * 2^52: the sum's low bits are the integer
  const double shifted = x * 1.4426950408889634074 + round;
  int64_t power;
  std::memcpy(&power, &shifted, sizeof power);
  const double whole = shifted - round;
  const double r = (x - whole * 6.93147180369123816490e-01) - whole * 1.90821492927058770002e-10;
  double sum = 1.0 / 6227020800.0;
  constexpr double terms[] = {
    1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0, 1.0 / 362880.0, 1.0 / 40320.0,
    1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0};
  for (double term : terms) {sum = sum * r + term;}
  const int64_t bits = static_cast<int64_t>(static_cast<uint64_t>(power) << 52);
  // 2^power: the exponent's bits of 1.0, moved.
  int64_t scale;
  const double one = 1.0;
  std::memcpy(&scale, &one, sizeof scale);
  scale = static_cast<int64_t>(static_cast<uint64_t>(scale) + static_cast<uint64_t>(bits));
  double factor;
  std::memcpy(&factor, &scale, sizeof factor);
  return sum * factor;
}

WIDER void silu(double * values, int count)
{
  for (int i = 0; i < count; i++) {values[i] = values[i] / (1.0 + exponential(-values[i]));}
}

constexpr int BLOCK = 24;  // sums that stay in registers
static_assert(WIDTH % BLOCK == 0, "blocks fill a row");

// out (WIDTH) += in (count) @ weight (count, WIDTH)
WIDER void accumulate(const double * in, int count, const double (*weight)[WIDTH], double * out)
{
  for (int first = 0; first < WIDTH; first += BLOCK) {
    double sum[BLOCK];
    for (int j = 0; j < BLOCK; j++) {sum[j] = out[first + j];}
    for (int i = 0; i < count; i++) {
      const double x = in[i];
      const double * row = weight[i] + first;
      for (int j = 0; j < BLOCK; j++) {sum[j] += x * row[j];}
    }
    for (int j = 0; j < BLOCK; j++) {out[first + j] = sum[j];}
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

bool finite(const double * values, size_t count)
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
bool cholesky(double * a, int n)
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
void solve(const double * factor, int n, double * x)
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

// ---- the small networks ----

void hidden(
  const double (*weight)[HIDDEN], const double * bias, const double * in, int count, double * out)
{
  double sum[HIDDEN];
  for (int j = 0; j < HIDDEN; j++) {sum[j] = bias[j];}
  for (int i = 0; i < count; i++) {
    for (int j = 0; j < HIDDEN; j++) {sum[j] += in[i] * weight[i][j];}
  }
  silu(sum, HIDDEN);
  std::copy(sum, sum + HIDDEN, out);
}

// What is shown of the state: mean (2D) and covariance (2D, 2D), multiplied by the trust's scale.
bool publish(
  const Network & net, const double * context, const double * mean, const double * covariance,
  int size, int axes, double * shown, double * shown_covariance)
{
  double look[CONTEXT + 1], trust[HIDDEN];
  std::copy(context, context + CONTEXT, look);
  look[CONTEXT] = 0.5 * std::log(covariance[0] + covariance[size + 1]) + 1.0;
  hidden(net.trust, net.trust_bias, look, CONTEXT + 1, trust);
  const double scale =
    std::exp(limited(dot(net.trust_head, trust, HIDDEN) + net.trust_head_bias, 4.0));
  for (int i = 0; i < 2 * axes; i++) {
    const int row = i < axes ? i : SPACE + i - axes;
    shown[i] = mean[row];
    for (int j = 0; j < 2 * axes; j++) {
      const int column = j < axes ? j : SPACE + j - axes;
      shown_covariance[i * 2 * axes + j] = covariance[row * size + column] * scale;
    }
  }
  return finite(shown_covariance, 4 * axes * axes);
}

// ---- predict ----

bool predict(
  const Network & net, bool climbs, double dt, int slots, const double * before,
  const double * covariance_before, const double * context, double * mean, double * covariance)
{
  const int size = FIRST + 2 * slots;
  const double way = std::sqrt(square(before[VX]) + square(before[VX + 1]) + 1e-4) * dt;
  double look[CONTEXT + 2], inner[HIDDEN], climate[4];
  std::copy(context, context + CONTEXT, look);
  look[CONTEXT] = std::log(dt + 1e-3);
  look[CONTEXT + 1] = way;
  hidden(net.climate, net.climate_bias, look, CONTEXT + 2, inner);
  for (int i = 0; i < 4; i++) {
    climate[i] =
      limited(dot(net.climate_head[i], inner, HIDDEN) + net.climate_head_bias[i], 2.0);
  }
  const double own = std::exp(-dt / net.own_time);
  const double local =
    std::exp(-dt / net.local_time - way / net.local_way * std::exp(-climate[2]));
  const double density = square(net.acceleration * std::exp(climate[0]));
  Numbers scale(size, 1.0);
  std::fill_n(scale.begin() + FIRST, slots, own);
  std::fill_n(scale.begin() + FIRST + slots, slots, local);
  for (int i = 0; i < size; i++) {
    mean[i] = before[i] * scale[i];
    const double * from = covariance_before + static_cast<size_t>(i) * size;
    double * to = covariance + static_cast<size_t>(i) * size;
    for (int j = 0; j < size; j++) {to[j] = from[j] * (scale[i] * scale[j]);}
  }
  for (int i = 0; i < SPACE; i++) {
    mean[i] += dt * mean[SPACE + i];
    for (int j = 0; j < size; j++) {
      covariance[i * size + j] += dt * covariance[(SPACE + i) * size + j];
    }
  }
  for (int i = 0; i < size; i++) {
    double * row = covariance + static_cast<size_t>(i) * size;
    for (int j = 0; j < SPACE; j++) {row[j] += dt * row[SPACE + j];}
  }
  const double climb = climbs ? square(net.vertical) : 0.0;
  const double noise[] = {density, density, climb};
  const double rest[] = {1e-7, 1e-7, 0.0};
  for (int i = 0; i < SPACE; i++) {
    double * position = covariance + i * size;
    double * speed = covariance + (SPACE + i) * size;
    position[i] += rest[i] + noise[i] * dt * dt * dt / 3.0;
    speed[SPACE + i] += rest[i] + noise[i] * dt;
    position[SPACE + i] += noise[i] * dt * dt / 2.0;
    speed[i] += noise[i] * dt * dt / 2.0;
  }
  const double walk = square(net.common_walk * std::exp(climate[3])) * dt;
  const double own_noise = square(net.own) * (1.0 - own * own);
  const double local_noise = square(net.local * std::exp(climate[1])) * (1.0 - local * local);
  for (int i = COMMON; i < size; i++) {
    const double more = i == COMMON ? walk : i < FIRST + slots ? own_noise : local_noise;
    covariance[static_cast<size_t>(i) * size + i] += 1e-7 + more;
  }
  return finite(mean, size) && finite(covariance, static_cast<size_t>(size) * size);
}

// ---- update ----

// Ranges of one update: value m, ahead s, blocked 0..1 or NaN, place (K, 3) m, slot (K).
struct Heard
{
  Numbers value, ahead, blocked, place;
  std::vector<int> slot;
  int count() const {return static_cast<int>(value.size());}
};

// What a filter works on besides mean and covariance.
struct Memory
{
  double * age, * surprise, * context;  // (slots), (slots), (CONTEXT)
  double since, updates;
};

struct Look
{
  Numbers sigma, shift, jump;
  double motion[2];
};

// before (K, WIDTH): what the features known before the first look make of the tokens.
Look look_at(
  const Network & net, const Numbers & before, const Numbers & residual, double again)
{
  const int count = static_cast<int>(residual.size());
  Look found{Numbers(count), Numbers(count), Numbers(count), {0.0, 0.0}};
  Numbers token(before), mixed(static_cast<size_t>(count) * WIDTH);
  double both[2 * WIDTH], pooled[WIDTH], shared[WIDTH];
  for (int k = 0; k < count; k++) {
    const double late[] = {squash(residual[k]), again};
    accumulate(late, SEEN - KNOWN, net.token + KNOWN, &token[k * WIDTH]);
  }
  silu(token.data(), count * WIDTH);
  for (int j = 0; j < WIDTH; j++) {
    double sum = 0.0, most = token[j];
    for (int k = 0; k < count; k++) {
      sum += token[k * WIDTH + j];
      most = std::max(most, token[k * WIDTH + j]);
    }
    both[j] = sum / count;
    both[WIDTH + j] = most;
  }
  std::copy(net.pool_bias, net.pool_bias + WIDTH, pooled);
  accumulate(both, 2 * WIDTH, net.pool, pooled);
  silu(pooled, WIDTH);
  std::copy(net.mix_bias, net.mix_bias + WIDTH, shared);
  accumulate(pooled, WIDTH, net.mix + WIDTH, shared);
  for (int k = 0; k < count; k++) {
    std::copy(shared, shared + WIDTH, &mixed[k * WIDTH]);
    accumulate(&token[k * WIDTH], WIDTH, net.mix, &mixed[k * WIDTH]);
  }
  silu(mixed.data(), count * WIDTH);
  for (int k = 0; k < count; k++) {
    double head[3];
    for (int i = 0; i < 3; i++) {
      head[i] = limited(dot(net.range_head[i], &mixed[k * WIDTH], WIDTH) + net.range_bias[i], 4.0);
    }
    found.sigma[k] = 0.02 + net.sigma * std::exp(head[0]);
    found.shift[k] = 0.3 * head[1];
    found.jump[k] = square(0.02 * std::exp(head[2]));
  }
  for (int i = 0; i < 2; i++) {
    const double said = dot(net.motion_head[i], pooled, WIDTH) + net.motion_bias[i];
    found.motion[i] = square(0.01 * std::exp(limited(said, 4.0)));
  }
  return found;
}

class Update
{
public:
  Update(
    const Network & net, int slots, const double * prior, const double * covariance,
    const Memory & memory, const Heard & heard)
  : net_(net), slots_(slots), size_(FIRST + 2 * slots), count_(heard.count()), prior_(prior),
    covariance_(covariance), memory_(memory), heard_(heard), distance_(count_),
    direction_(static_cast<size_t>(count_) * SPACE), bias_(count_), innovation_(count_),
    residual_(count_), spread_(static_cast<size_t>(count_) * size_),
    inner_(static_cast<size_t>(count_) * count_)
  {
  }

  // The posterior into mean and covariance; false: numpy's turn.
  bool run(double * mean, double * covariance)
  {
    geometry(prior_);
    for (int k = 0; k < count_; k++) {
      bias_[k] = bias(prior_, k);
      innovation_[k] = heard_.value[k] - distance_[k] - bias_[k];
    }
    first_ = innovation_;
    Numbers before;
    if (!features(before)) {return false;}
    const size_t square_size = static_cast<size_t>(size_) * size_;
    for (int again = 0; again < 2; again++) {
      const Look look = look_at(net_, before, residual_, again);
      if (again) {relinearise(mean);}
      std::copy(covariance_, covariance_ + square_size, covariance);
      for (int i = 0; i < 4; i++) {covariance[LEVEL[i] * (size_ + 1)] += look.motion[i / 2];}
      for (int k = 0; k < count_; k++) {
        const size_t at = static_cast<size_t>(local(k)) * (size_ + 1);
        covariance[at] = covariance_[at] + look.jump[k];  // heard twice: the last one counts
      }
      project(covariance);
      for (int k = 0; k < count_; k++) {inner_[k * (count_ + 1)] += square(look.sigma[k]);}
      if (!cholesky(inner_.data(), count_)) {return false;}
      Numbers weight(count_);
      for (int k = 0; k < count_; k++) {weight[k] = innovation_[k] - look.shift[k];}
      solve(inner_.data(), count_, weight.data());
      std::copy(prior_, prior_ + size_, mean);
      for (int k = 0; k < count_; k++) {
        const double * row = &spread_[static_cast<size_t>(k) * size_];
        for (int j = 0; j < size_; j++) {mean[j] += weight[k] * row[j];}
      }
      leftover(mean);
    }
    lessen(covariance);
    return finite(mean, size_) && finite(covariance, square_size) &&
           finite(first_.data(), count_) && finite(residual_.data(), count_);
  }

  // Running means of how far ranges were off: context (CONTEXT), and of each heard its surprise.
  void remember(double * context, Numbers & surprise) const
  {
    double news[CONTEXT / 2] = {0.0, 0.0, 0.0, 0.0};
    surprise.resize(count_);
    for (int k = 0; k < count_; k++) {
      const double off = std::fabs(first_[k]), seen = squash(off);
      news[0] += seen / count_;
      news[1] += squash(first_[k]) / count_;
      news[2] += squash(std::fabs(residual_[k])) / count_;
      news[3] = k ? std::max(news[3], seen) : seen;
      const double before = memory_.surprise[heard_.slot[k]];
      surprise[k] = before + net_.fast * (off - before);
    }
    for (int i = 0; i < CONTEXT; i++) {
      const double least = i < CONTEXT / 2 ? net_.fast : net_.slow;
      const double weight = std::max(least, 1.0 / (memory_.updates + 1.0));
      context[i] = memory_.context[i] + weight * (news[i % (CONTEXT / 2)] - memory_.context[i]);
    }
  }

private:
  int own(int k) const {return FIRST + heard_.slot[k];}
  int local(int k) const {return own(k) + slots_;}
  double bias(const double * state, int k) const
  {
    return state[COMMON] + state[own(k)] + state[local(k)];
  }

  double offset(const double * state, int k, double * direction) const
  {
    double away[SPACE];
    for (int i = 0; i < SPACE; i++) {
      away[i] = state[i] + heard_.ahead[k] * state[SPACE + i] - heard_.place[k * SPACE + i];
    }
    return slant(away, net_.floor, direction);
  }

  void geometry(const double * state)
  {
    for (int k = 0; k < count_; k++) {distance_[k] = offset(state, k, &direction_[k * SPACE]);}
  }

  void relinearise(const double * point)
  {
    geometry(point);
    for (int k = 0; k < count_; k++) {
      double along = 0.0;
      for (int i = 0; i < SPACE; i++) {
        const double speed = point[SPACE + i] - prior_[SPACE + i];
        along += direction_[k * SPACE + i] * (point[i] - prior_[i] + heard_.ahead[k] * speed);
      }
      innovation_[k] = heard_.value[k] - distance_[k] - bias_[k] + along;
    }
  }

  void leftover(const double * point)
  {
    double unused[SPACE];
    for (int k = 0; k < count_; k++) {
      residual_[k] = heard_.value[k] - offset(point, k, unused) - bias(point, k);
    }
  }

  // H P (K, size) into spread and H P H^T (K, K) into inner.
  void project(const double * p)
  {
    const size_t size = size_;
    for (int k = 0; k < count_; k++) {
      const double * u = &direction_[k * SPACE];
      const double ahead = heard_.ahead[k];
      const double * o = p + own(k) * size, * l = p + local(k) * size;
      double * row = &spread_[k * size];
      for (size_t j = 0; j < size; j++) {
        row[j] = u[0] * p[j] + u[1] * p[size + j] + u[2] * p[2 * size + j] +
          ahead * (u[0] * p[3 * size + j] + u[1] * p[4 * size + j] + u[2] * p[5 * size + j]) +
          p[COMMON * size + j] + o[j] + l[j];
      }
    }
    for (int k = 0; k < count_; k++) {
      const double * row = &spread_[k * size];
      for (int m = 0; m < count_; m++) {
        const double * u = &direction_[m * SPACE];
        inner_[k * count_ + m] = u[0] * row[0] + u[1] * row[1] + u[2] * row[2] +
          heard_.ahead[m] * (u[0] * row[3] + u[1] * row[4] + u[2] * row[5]) +
          row[COMMON] + row[own(m)] + row[local(m)];
      }
    }
  }

  // covariance -= spread^T inner^-1 spread, kept symmetric; inner holds its factor.
  void lessen(double * covariance)
  {
    const size_t size = size_;
    for (int k = 0; k < count_; k++) {  // spread becomes L^-1 spread
      double * row = &spread_[k * size];
      for (int m = 0; m < k; m++) {
        const double factor = inner_[k * count_ + m];
        const double * above = &spread_[m * size];
        for (size_t j = 0; j < size; j++) {row[j] -= factor * above[j];}
      }
      const double pivot = inner_[k * count_ + k];
      for (size_t j = 0; j < size; j++) {row[j] /= pivot;}
    }
    for (size_t i = 0; i < size; i++) {
      double * row = covariance + i * size;
      for (size_t j = i; j < size; j++) {row[j] = 0.5 * (row[j] + covariance[j * size + i]);}
      for (int k = 0; k < count_; k++) {
        const double * gained = &spread_[k * size];
        for (size_t j = i; j < size; j++) {row[j] -= gained[i] * gained[j];}
      }
      for (size_t j = i + 1; j < size; j++) {covariance[j * size + i] = row[j];}
    }
  }

  // What the network sees of each range before the first look, through its first layer: (K, WIDTH).
  bool features(Numbers & before)
  {
    const size_t size = size_;
    const double * p = covariance_;
    project(p);
    for (int k = 0; k < count_; k++) {inner_[k * (count_ + 1)] += square(net_.sigma);}
    Numbers diagonal(count_);
    for (int k = 0; k < count_; k++) {diagonal[k] = inner_[k * (count_ + 1)];}
    if (!cholesky(inner_.data(), count_)) {return false;}
    Numbers weighted(innovation_), column(count_);
    solve(inner_.data(), count_, weighted.data());
    const double mean_off =
      std::accumulate(innovation_.begin(), innovation_.end(), 0.0) / count_;
    auto variance = [&](int row) {return std::max(p[row * (size + 1)], 1e-8);};
    const double common = 0.5 * std::log(variance(COMMON)) + 2.0;
    const double level_spread = 0.5 * std::log(variance(0) + variance(1)) + 1.0;
    const double since = std::log(memory_.since + 0.05), many = std::log(double(count_));
    before.resize(static_cast<size_t>(count_) * WIDTH);
    for (int k = 0; k < count_; k++) {
      std::fill(column.begin(), column.end(), 0.0);
      column[k] = 1.0;
      solve(inner_.data(), count_, column.data());
      const double precision = std::max(column[k], 1e-6), alone = weighted[k] / precision;
      const double * u = &direction_[k * SPACE];
      const double along = (u[0] * p[0] + u[1] * p[size]) * u[0] +
        (u[0] * p[1] + u[1] * p[size + 1]) * u[1];
      const double blocked = heard_.blocked[k];
      const bool known = !std::isnan(blocked);
      const int slot = heard_.slot[k];
      double seen[KNOWN] = {
        squash(innovation_[k]),
        std::asinh(innovation_[k] / std::sqrt(diagonal[k])),
        squash(innovation_[k] - mean_off),
        squash(alone),
        std::asinh(alone * std::sqrt(precision)),
        squash(prior_[own(k)]),
        squash(prior_[local(k)]),
        0.5 * std::log(variance(own(k))) + 2.0,
        0.5 * std::log(variance(local(k))) + 2.0,
        distance_[k] / 10.0,
        -u[2],
        u[0] * prior_[VX] + u[1] * prior_[VX + 1],
        0.5 * std::log(memory_.age[slot] + 0.05),
        std::log(memory_.surprise[slot] + 0.02) + 2.0,
        0.5 * std::log(std::max(along, 1e-6)) + 1.0,
        known ? blocked - 0.3 : 0.0,
        known ? 1.0 : 0.0,
        common,
        level_spread,
        since,
        many,
      };
      for (int i = 0; i < 5; i++) {seen[21 + i] = memory_.context[SEEN_CONTEXT[i]];}
      if (!finite(seen, KNOWN)) {return false;}
      double * out = &before[k * WIDTH];
      std::copy(net_.token_bias, net_.token_bias + WIDTH, out);
      accumulate(seen, KNOWN, net_.token, out);
    }
    return true;
  }

  const Network & net_;
  const int slots_, size_, count_;
  const double * prior_, * covariance_;
  const Memory & memory_;
  const Heard & heard_;
  Numbers distance_, direction_, bias_, innovation_, first_, residual_, spread_, inner_;
};

// ---- foresight ----

void foresee(
  const Network & net, int slots, const double * mean, const double * p, const double * places,
  const int64_t * slot, const int64_t * rows, int count, int axes, double * position,
  double * cross, double * ranges)
{
  const size_t size = FIRST + 2 * slots;
  for (int i = 0; i < axes; i++) {
    for (int j = 0; j < axes; j++) {position[i * axes + j] = p[i * size + j];}
  }
  // Each slot that occurs, once; strangers share one.
  std::vector<int> slots_here, where(count), seat(slots, -1);
  for (int k = 0; k < count; k++) {
    int & at = seat[slot[rows[k]]];
    if (at < 0) {
      at = static_cast<int>(slots_here.size());
      slots_here.push_back(static_cast<int>(slot[rows[k]]));
    }
    where[k] = at;
  }
  const int here = static_cast<int>(slots_here.size());
  Numbers direction(static_cast<size_t>(count) * SPACE), bias(here);
  for (int k = 0; k < count; k++) {
    double offset[SPACE];
    for (int i = 0; i < SPACE; i++) {offset[i] = mean[i] - places[rows[k] * SPACE + i];}
    slant(offset, net.floor, &direction[k * SPACE]);
  }
  // Once there is one stranger's variance between two of them, they would share it: they do not.
  const double alone = p[FIRST * (size + 1)] + p[(FIRST + slots) * (size + 1)];
  for (int k = 0; k < count; k++) {
    const double * u = &direction[k * SPACE];
    const size_t own = FIRST + slot[rows[k]], local = own + slots;
    auto spread = [&](size_t j) {
        return u[0] * p[j] + u[1] * p[size + j] + u[2] * p[2 * size + j] +
               p[COMMON * size + j] + p[own * size + j] + p[local * size + j];
      };
    const double near[] = {spread(0), spread(1), spread(2)}, common = spread(COMMON);
    for (int i = 0; i < axes; i++) {cross[k * axes + i] = near[i];}
    for (int s = 0; s < here; s++) {
      bias[s] = common + spread(FIRST + slots_here[s]) + spread(FIRST + slots + slots_here[s]);
    }
    double * row = ranges + static_cast<size_t>(k) * count;
    for (int m = 0; m < count; m++) {
      const double * v = &direction[m * SPACE];
      row[m] = v[0] * near[0] + v[1] * near[1] + v[2] * near[2] + bias[where[m]];
    }
    if (slot[rows[k]] == 0) {
      for (int m = 0; m < count; m++) {
        if (m != k && slot[rows[m]] == 0) {row[m] -= alone;}
      }
    }
  }
}

// ---- the choice of anchors ----

// A subset that grows by one anchor at a time, with the Cholesky factor of its ranges.
class Choice
{
public:
  Choice(const double * cross, const double * ranges, int count, int axes, int budget, double sigma)
  : cross_(cross), ranges_(ranges), count_(count), axes_(axes), budget_(budget),
    noise_(sigma * sigma), factor_(static_cast<size_t>(budget) * budget),
    told_(static_cast<size_t>(budget) * axes), gained_(budget + 1, 0.0), taken_(budget),
    row_(budget), left_(axes)
  {
  }

  int depth() const {return depth_;}
  double gained() const {return gained_[depth_];}
  void drop() {depth_--;}
  void clear() {depth_ = 0;}

  // What the subset with `anchor` would gain, m^2; NaN where it is not positive.
  double with(int anchor)
  {
    double pivot = ranges_[static_cast<size_t>(anchor) * count_ + anchor] + noise_;
    for (int a = 0; a < axes_; a++) {left_[a] = cross_[anchor * axes_ + a];}
    for (int i = 0; i < depth_; i++) {
      double value = ranges_[static_cast<size_t>(anchor) * count_ + taken_[i]];
      for (int j = 0; j < i; j++) {value -= factor_[i * budget_ + j] * row_[j];}
      value /= factor_[i * budget_ + i];
      row_[i] = value;
      pivot -= value * value;
      for (int a = 0; a < axes_; a++) {left_[a] -= value * told_[i * axes_ + a];}
    }
    if (!(pivot > 0.0)) {return std::nan("");}
    pivot_ = pivot;
    double sum = 0.0;
    for (int a = 0; a < axes_; a++) {sum += left_[a] * left_[a];}
    return gained_[depth_] + sum / pivot;
  }

  bool push(int anchor)
  {
    const double sum = with(anchor);
    if (!std::isfinite(sum)) {return false;}
    const double root = std::sqrt(pivot_);
    for (int j = 0; j < depth_; j++) {factor_[depth_ * budget_ + j] = row_[j];}
    factor_[depth_ * budget_ + depth_] = root;
    for (int a = 0; a < axes_; a++) {told_[depth_ * axes_ + a] = left_[a] / root;}
    taken_[depth_++] = anchor;
    gained_[depth_] = sum;
    return true;
  }

private:
  const double * cross_, * ranges_;
  const int count_, axes_, budget_;
  const double noise_;
  Numbers factor_, told_, gained_;
  std::vector<int> taken_;
  Numbers row_, left_;
  double pivot_ = 0.0;
  int depth_ = 0;
};

// Every subset in the order of itertools.combinations.
bool try_all(Choice & choice, int count, int budget, std::vector<int> & best)
{
  std::vector<int> now(budget);
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
bool exchange(
  Choice & choice, int count, int budget, double trace, double clearly, std::vector<int> & chosen)
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
  double least = trace - choice.gained();
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
    if (!(trace - most < least * (1.0 - clearly))) {break;}
    least = trace - most;
    taken[chosen[place]] = 0;
    taken[anchor] = 1;
    chosen[place] = anchor;
  }
  std::sort(chosen.begin(), chosen.end());
  return true;
}

// Whether there are at most `most` subsets.
bool few(int count, int budget, double most)
{
  double subsets = 1.0;
  for (int i = 1; i <= budget; i++) {
    subsets *= static_cast<double>(count - budget + i) / i;
    if (subsets > most + 0.5) {return false;}
  }
  return true;
}

// ---- Python ----

// A borrowed array. Not an array as asked for: `ok` is false, and no exception is set.
class Array
{
public:
  Array(PyObject * object, const char * kinds, int flags)
  {
    ok_ = PyObject_GetBuffer(object, &view_, PyBUF_FORMAT | flags) == 0;
    if (!ok_) {
      PyErr_Clear();
    } else {
      held_ = true;
      ok_ = view_.format && std::strlen(view_.format) == 1 && std::strchr(kinds, *view_.format) &&
        view_.itemsize == (*kinds == 'B' ? 1 : 8);
    }
  }
  ~Array() {if (held_) {PyBuffer_Release(&view_);}}
  Array(const Array &) = delete;
  Array & operator=(const Array &) = delete;

  bool ok() const {return ok_;}
  // Whether it has as many elements.
  bool holds(size_t count) const
  {
    return ok_ && static_cast<size_t>(view_.len) == count * view_.itemsize;
  }
  int64_t count() const {return view_.len / view_.itemsize;}
  template<class T> T * data() const {return static_cast<T *>(view_.buf);}
  // Element of a one-dimensional array with any stride.
  template<class T> T at(int64_t i) const
  {
    T value;
    std::memcpy(&value, static_cast<char *>(view_.buf) + i * view_.strides[0], sizeof value);
    return value;
  }
  bool is_line(int64_t count) const {return ok_ && view_.ndim == 1 && view_.shape[0] == count;}

private:
  Py_buffer view_;
  bool ok_ = false, held_ = false;
};

struct In : Array
{
  explicit In(PyObject * object) : Array(object, "d", PyBUF_C_CONTIGUOUS) {}
};
struct Out : Array
{
  explicit Out(PyObject * object) : Array(object, "d", PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) {}
};
struct Indices : Array
{
  explicit Indices(PyObject * object, int flags = 0) : Array(object, "lq", PyBUF_C_CONTIGUOUS | flags) {}
};
struct Line : Array
{
  Line(PyObject * object, const char * kinds) : Array(object, kinds, PyBUF_STRIDES) {}
};

constexpr const char * NETWORK = "locdreamer_ros._compiled.network";

const Network * network_of(PyObject * capsule)
{
  return static_cast<const Network *>(PyCapsule_GetPointer(capsule, NETWORK));
}

bool arguments(Py_ssize_t given, Py_ssize_t expected)
{
  if (given == expected) {return true;}
  PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", expected, given);
  return false;
}

bool number(PyObject * object, double & value)
{
  value = PyFloat_AsDouble(object);
  return !(value == -1.0 && PyErr_Occurred());
}

PyObject * answer(bool done)
{
  return PyBool_FromLong(done);
}

// network(flat): weights and constants in the order of Network, matrices as (output, input).
PyObject * make_network(PyObject *, PyObject * flat)
{
  In given(flat);
  if (!given.holds(sizeof(Network) / sizeof(double))) {
    PyErr_SetString(PyExc_ValueError, "not the weights this was compiled for");
    return nullptr;
  }
  auto net = std::make_unique<Network>();
  const double * next = given.data<double>();
  auto matrix = [&](double * to, int inputs, int outputs) {
      for (int j = 0; j < outputs; j++) {
        for (int i = 0; i < inputs; i++) {to[i * outputs + j] = *next++;}
      }
    };
  auto plain = [&](double * to, int count) {
      std::copy(next, next + count, to);
      next += count;
    };
  matrix(&net->token[0][0], SEEN, WIDTH);
  plain(net->token_bias, WIDTH);
  matrix(&net->pool[0][0], 2 * WIDTH, WIDTH);
  plain(net->pool_bias, WIDTH);
  matrix(&net->mix[0][0], 2 * WIDTH, WIDTH);
  plain(net->mix_bias, WIDTH);
  plain(&net->range_head[0][0], 3 * WIDTH);
  plain(net->range_bias, 3);
  plain(&net->motion_head[0][0], 2 * WIDTH);
  plain(net->motion_bias, 2);
  matrix(&net->climate[0][0], CONTEXT + 2, HIDDEN);
  plain(net->climate_bias, HIDDEN);
  plain(&net->climate_head[0][0], 4 * HIDDEN);
  plain(net->climate_head_bias, 4);
  matrix(&net->trust[0][0], CONTEXT + 1, HIDDEN);
  plain(net->trust_bias, HIDDEN);
  plain(net->trust_head, HIDDEN);
  for (double * value : {
      &net->trust_head_bias, &net->acceleration, &net->common_walk, &net->own, &net->own_time,
      &net->local, &net->local_time, &net->local_way, &net->sigma, &net->fast, &net->slow,
      &net->silent, &net->vertical, &net->floor, &net->most_ahead})
  {
    *value = *next++;
  }
  PyObject * capsule = PyCapsule_New(
    net.get(), NETWORK, [](PyObject * self) {
      delete static_cast<Network *>(PyCapsule_GetPointer(self, NETWORK));
    });
  if (capsule) {net.release();}
  return capsule;
}

// predict(network, axes, climbs, dt, mean, covariance, age, context;
//         new mean, new covariance, shown mean, shown covariance, new age)
PyObject * step_predict(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  double dt = 0.0;
  if (!arguments(count, 13)) {return nullptr;}
  const Network * net = network_of(given[0]);
  if (!net || !number(given[3], dt)) {return nullptr;}
  const int64_t axes = PyLong_AsLong(given[1]);
  if (PyErr_Occurred()) {return nullptr;}
  const In mean(given[4]), covariance(given[5]), age(given[6]), context(given[7]);
  const Out next(given[8]), next_covariance(given[9]), shown(given[10]);
  const Out shown_covariance(given[11]), next_age(given[12]);
  if (!age.ok() || age.count() < 1 || (axes != 2 && axes != 3)) {return answer(false);}
  const size_t slots = age.count(), size = FIRST + 2 * slots;
  if (!mean.holds(size) || !covariance.holds(size * size) || !context.holds(CONTEXT) ||
    !next.holds(size) || !next_covariance.holds(size * size) || !shown.holds(2 * axes) ||
    !shown_covariance.holds(4 * axes * axes) || !next_age.holds(slots))
  {
    return answer(false);
  }
  if (!predict(
      *net, given[2] == Py_True, dt, static_cast<int>(slots), mean.data<double>(),
      covariance.data<double>(), context.data<double>(), next.data<double>(),
      next_covariance.data<double>()) ||
    !publish(
      *net, context.data<double>(), next.data<double>(), next_covariance.data<double>(),
      static_cast<int>(size), static_cast<int>(axes), shown.data<double>(),
      shown_covariance.data<double>()))
  {
    return answer(false);
  }
  for (size_t i = 0; i < slots; i++) {
    next_age.data<double>()[i] = std::min(age.data<double>()[i] + dt, net->silent);
  }
  return answer(true);
}

// update(network, axes, time, since, updates, places, slot, mean, covariance, age, surprise,
//        context, anchor, value, stamp, status, blocked;
//        new mean, new covariance, shown mean, shown covariance)
// age, surprise and context change in place. Returns how many ranges were used, -1: numpy's turn,
// -2: an anchor is heard for the first time.
PyObject * step_update(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  double time = 0.0;
  Memory memory{nullptr, nullptr, nullptr, 0.0, 0.0};
  if (!arguments(count, 21)) {return nullptr;}
  const Network * net = network_of(given[0]);
  if (!net || !number(given[2], time) || !number(given[3], memory.since) ||
    !number(given[4], memory.updates))
  {
    return nullptr;
  }
  PyObject * const * at = given + 5;
  const int64_t axes = PyLong_AsLong(given[1]);
  if (PyErr_Occurred()) {return nullptr;}
  const In places(at[0]);
  const Indices slot(at[1]);
  const In mean(at[2]), covariance(at[3]);
  const Out age(at[4]), surprise(at[5]), context(at[6]);
  const Line anchor(at[7], "lq"), value(at[8], "d"), stamp(at[9], "d"), status(at[10], "B");
  const Line blocked(at[11], "d");
  const Out next(at[12]), next_covariance(at[13]), shown(at[14]), shown_covariance(at[15]);
  if (!age.ok() || age.count() < 1 || !slot.ok() || !anchor.ok() || (axes != 2 && axes != 3)) {
    return PyLong_FromLong(-1);
  }
  const size_t slots = age.count(), size = FIRST + 2 * slots;
  const int64_t anchors = slot.count(), ranges = anchor.count();
  if (!places.holds(anchors * SPACE) || !mean.holds(size) || !covariance.holds(size * size) ||
    !surprise.holds(slots) || !context.holds(CONTEXT) || !anchor.is_line(ranges) ||
    !value.is_line(ranges) || !stamp.is_line(ranges) || !status.is_line(ranges) ||
    !blocked.is_line(ranges) || !next.holds(size) || !next_covariance.holds(size * size) ||
    !shown.holds(2 * axes) || !shown_covariance.holds(4 * axes * axes))
  {
    return PyLong_FromLong(-1);
  }
  Heard heard;
  bool stranger = false;
  for (int64_t i = 0; i < ranges; i++) {
    const double metres = value.at<double>(i), ahead = stamp.at<double>(i) - time;
    const int64_t row = anchor.at<int64_t>(i);
    if (status.at<uint8_t>(i) != 0 || !std::isfinite(metres) || !(metres > 0.0) ||
      !(std::fabs(ahead) <= net->most_ahead))
    {
      continue;
    }
    if (row < 0 || row >= anchors) {return PyLong_FromLong(-1);}
    const int64_t where = slot.data<int64_t>()[row];
    if (where < 0 || where >= static_cast<int64_t>(slots)) {return PyLong_FromLong(-1);}
    stranger = stranger || where == 0;
    heard.value.push_back(metres);
    heard.ahead.push_back(ahead);
    heard.blocked.push_back(blocked.at<double>(i));
    heard.slot.push_back(static_cast<int>(where));
    const double * place = places.data<double>() + row * SPACE;
    heard.place.insert(heard.place.end(), place, place + SPACE);
  }
  if (heard.count() == 0) {return PyLong_FromLong(0);}
  if (stranger) {return PyLong_FromLong(-2);}
  memory.age = age.data<double>();
  memory.surprise = surprise.data<double>();
  memory.context = context.data<double>();
  Update update(
    *net, static_cast<int>(slots), mean.data<double>(), covariance.data<double>(), memory, heard);
  if (!update.run(next.data<double>(), next_covariance.data<double>())) {
    return PyLong_FromLong(-1);
  }
  double news[CONTEXT];
  Numbers surprises;
  update.remember(news, surprises);
  if (!publish(
      *net, news, next.data<double>(), next_covariance.data<double>(), static_cast<int>(size),
      static_cast<int>(axes), shown.data<double>(), shown_covariance.data<double>()))
  {
    return PyLong_FromLong(-1);
  }
  std::copy(news, news + CONTEXT, memory.context);
  for (int k = 0; k < heard.count(); k++) {
    memory.surprise[heard.slot[k]] = surprises[k];
    memory.age[heard.slot[k]] = 0.0;
  }
  return PyLong_FromLong(heard.count());
}

// foresee(network, slots, axes, mean, covariance, places, slot, rows; position, cross, ranges)
PyObject * step_foresee(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 11)) {return nullptr;}
  const Network * net = network_of(given[0]);
  if (!net) {return nullptr;}
  const int64_t slots = PyLong_AsLong(given[1]), axes = PyLong_AsLong(given[2]);
  if (PyErr_Occurred()) {return nullptr;}
  const In mean(given[3]), covariance(given[4]), places(given[5]);
  const Indices slot(given[6]), rows(given[7]);
  const Out position(given[8]), cross(given[9]), ranges(given[10]);
  if (!slot.ok() || !rows.ok() || slots < 1 || (axes != 2 && axes != 3)) {return answer(false);}
  const size_t size = FIRST + 2 * slots, few_rows = rows.count();
  const int64_t anchors = slot.count();
  if (!mean.holds(size) || !covariance.holds(size * size) || !places.holds(anchors * SPACE) ||
    !position.holds(axes * axes) || !cross.holds(few_rows * axes) ||
    !ranges.holds(few_rows * few_rows))
  {
    return answer(false);
  }
  for (size_t k = 0; k < few_rows; k++) {
    const int64_t row = rows.data<int64_t>()[k];
    if (row < 0 || row >= anchors) {return answer(false);}
    const int64_t where = slot.data<int64_t>()[row];
    if (where < 0 || where >= slots) {return answer(false);}
  }
  foresee(
    *net, static_cast<int>(slots), mean.data<double>(), covariance.data<double>(),
    places.data<double>(), slot.data<int64_t>(), rows.data<int64_t>(), static_cast<int>(few_rows),
    static_cast<int>(axes), position.data<double>(), cross.data<double>(), ranges.data<double>());
  return answer(true);
}

// choose(position, cross, ranges, budget, sigma, most subsets, clearly; rows (budget,))
PyObject * choose(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  double sigma = 0.0, most = 0.0, clearly = 0.0;
  if (!arguments(count, 8)) {return nullptr;}
  const int64_t budget = PyLong_AsLong(given[3]);
  if (PyErr_Occurred() || !number(given[4], sigma) || !number(given[5], most) ||
    !number(given[6], clearly))
  {
    return nullptr;
  }
  const In position(given[0]), cross(given[1]), ranges(given[2]);
  const Indices out(given[7], PyBUF_WRITABLE);
  if (!position.ok() || !cross.ok() || !ranges.ok() || budget < 1 || !out.holds(budget)) {
    return answer(false);
  }
  const int64_t axes = position.holds(4) ? 2 : position.holds(9) ? 3 : 0;
  const int64_t anchors = axes ? cross.count() / axes : 0;
  if (!axes || budget >= anchors || !cross.holds(anchors * axes) ||
    !ranges.holds(anchors * anchors))
  {
    return answer(false);
  }
  double trace = 0.0;
  for (int64_t i = 0; i < axes; i++) {trace += position.data<double>()[i * (axes + 1)];}
  Choice choice(
    cross.data<double>(), ranges.data<double>(), static_cast<int>(anchors),
    static_cast<int>(axes), static_cast<int>(budget), sigma);
  std::vector<int> best;
  const int n = static_cast<int>(anchors), k = static_cast<int>(budget);
  const bool done = std::isfinite(trace) && (few(n, k, most) ?
    try_all(choice, n, k, best) : exchange(choice, n, k, trace, clearly, best));
  if (!done) {return answer(false);}
  std::copy(best.begin(), best.end(), out.data<int64_t>());
  return answer(true);
}

// near(places (A, 3), position (D); rows (C,) of the nearest, increasing)
PyObject * near(PyObject *, PyObject * const * given, Py_ssize_t count)
{
  if (!arguments(count, 3)) {return nullptr;}
  const In places(given[0]), position(given[1]);
  const Indices out(given[2], PyBUF_WRITABLE);
  if (!places.ok() || !position.ok() || !out.ok()) {return answer(false);}
  const int64_t anchors = places.count() / SPACE, wanted = out.count(), axes = position.count();
  if (axes < 1 || axes > SPACE || wanted < 1 || wanted >= anchors ||
    !finite(position.data<double>(), axes))
  {
    return answer(false);
  }
  std::vector<std::pair<double, int64_t>> away(anchors);
  for (int64_t i = 0; i < anchors; i++) {
    double sum = 0.0;
    for (int64_t j = 0; j < axes; j++) {
      sum += square(places.data<double>()[i * SPACE + j] - position.data<double>()[j]);
    }
    if (!std::isfinite(sum)) {return answer(false);}
    away[i] = {sum, i};
  }
  std::nth_element(away.begin(), away.begin() + wanted, away.end());
  for (int64_t i = 0; i < wanted; i++) {out.data<int64_t>()[i] = away[i].second;}
  std::sort(out.data<int64_t>(), out.data<int64_t>() + wanted);
  return answer(true);
}

// C++'s exceptions (no memory) end here.
template<PyObject * (*function)(PyObject *, PyObject * const *, Py_ssize_t)>
PyObject * guarded(PyObject * self, PyObject * const * given, Py_ssize_t count)
{
  try {
    return function(self, given, count);
  } catch (const std::exception &) {
    return PyErr_NoMemory();
  }
}

template<PyObject * (*function)(PyObject *, PyObject * const *, Py_ssize_t)>
PyCFunction quick()
{
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(guarded<function>));
}

PyMethodDef methods[] = {
  {"network", make_network, METH_O, "Weights and constants as the other functions take them."},
  {"predict", quick<step_predict>(), METH_FASTCALL, "Move the state ahead."},
  {"update", quick<step_update>(), METH_FASTCALL, "Take ranges in."},
  {"foresee", quick<step_foresee>(), METH_FASTCALL, "What ranges not asked yet would say."},
  {"choose", quick<choose>(), METH_FASTCALL, "The subset that leaves the least variance."},
  {"near", quick<near>(), METH_FASTCALL, "The nearest anchors."},
  {nullptr, nullptr, 0, nullptr},
};

PyModuleDef module = {
  PyModuleDef_HEAD_INIT, "_compiled", "The step of the zero-shot filter, compiled.", -1, methods,
  nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__compiled()
{
  PyObject * made = PyModule_Create(&module);
  // Raised with every change of what goes in or comes out: locdreamer_ros/compiled.py has the same.
  if (made && PyModule_AddIntConstant(made, "INTERFACE", 1) < 0) {
    Py_DECREF(made);
    return nullptr;
  }
  return made;
}
