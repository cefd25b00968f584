// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Predict and update of zero_shot/tracker.py.

#ifndef LOCDREAMER_ROS__FILTER_HPP_
#define LOCDREAMER_ROS__FILTER_HPP_

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "network.hpp"

namespace locdreamer_ros
{

inline bool predict(
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
    std::exp(-dt / net.local_time - way / net.local_way * std::exp(-climate[1]));
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
  const double climb = climbs ? square(net.vertical * std::exp(climate[3])) : 0.0;
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
  const double walk = square(net.common_walk * std::exp(climate[2])) * dt;
  const double own_noise = square(net.own) * (1.0 - own * own);
  const double local_noise = square(net.local) * (1.0 - local * local);
  for (int i = COMMON; i < size; i++) {
    const double more = i == COMMON ? walk : i < FIRST + slots ? own_noise : local_noise;
    covariance[static_cast<size_t>(i) * size + i] += 1e-7 + more;
  }
  return finite(mean, size) && finite(covariance, static_cast<size_t>(size) * size);
}

// Ranges of one update: value m, ahead s, blocked 0..1 or NaN, sigma m that is stated of it or 0,
// place (K, 3) m, slot (K).
struct Heard
{
  Numbers value, ahead, blocked, stated, place;
  std::vector<int> slot;
  int count() const {return static_cast<int>(value.size());}
};

// What a filter works on besides mean and covariance.
struct Memory
{
  double * age, * surprise, * context;  // (slots), (slots), (CONTEXT)
  double since, updates;
};

class Update
{
public:
  Update(
    const Network & net, int slots, const double * prior, const double * covariance,
    const Memory & memory, const Heard & heard)
  : net_(net), slots_(slots), size_(FIRST + 2 * slots), count_(heard.count()), prior_(prior),
    covariance_(covariance), memory_(memory), heard_(heard), distance_(count_),
    direction_(static_cast<size_t>(count_) * SPACE), bias_(count_), innovation_(count_),
    residual_(count_), whitened_(count_), spread_(static_cast<size_t>(count_) * size_),
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
    std::vector<Row> before;
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
      for (int k = 0; k < count_; k++) {
        inner_[k * (count_ + 1)] += square(std::max(look.sigma[k], heard_.stated[k]));
      }
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
  void remember(
    const double * mean, const double * covariance, double * context, Numbers & surprise) const
  {
    double news[NEWS] = {}, slow = 0.0, local_square = 0.0;
    auto second = [&](int i) {
        return square(mean[i]) + covariance[static_cast<size_t>(i) * (size_ + 1)];
      };
    surprise.resize(count_);
    for (int k = 0; k < count_; k++) {
      const double off = std::fabs(first_[k]), seen = squash(off);
      news[0] += seen / count_;
      news[1] += squash(first_[k]) / count_;
      news[2] += squash(std::fabs(residual_[k])) / count_;
      news[3] = k ? std::max(news[3], seen) : seen;
      news[4] += std::fabs(whitened_[k]) / count_;
      slow += second(own(k)) / count_;
      local_square += second(local(k)) / count_;
      const double before = memory_.surprise[heard_.slot[k]];
      surprise[k] = before + net_.pace[0] * (off - before);
    }
    news[5] = squash(std::sqrt(slow + 1e-6));
    news[6] = squash(std::sqrt(local_square + 1e-6));
    news[7] = std::log(double(count_));
    for (int i = 0; i < CONTEXT; i++) {
      const double weight = std::max(net_.pace[i / NEWS], 1.0 / (memory_.updates + 1.0));
      context[i] = memory_.context[i] + weight * (news[i % NEWS] - memory_.context[i]);
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

  // What the network sees of each range before the first look, through its first layer: (K).
  bool features(std::vector<Row> & before)
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
    before.assign(count_, net_.token_bias);
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
        std::asinh(distance_[k] / 10.0),
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
      whitened_[k] = seen[1];
      for (int i = OWN_FEATURES; i < KNOWN; i++) {
        seen[i] = memory_.context[SEEN_CONTEXT[i - OWN_FEATURES]];
      }
      if (!finite(seen, KNOWN)) {return false;}
      accumulate(seen, KNOWN, net_.token, before[k]);
    }
    return true;
  }

  const Network & net_;
  const int slots_, size_, count_;
  const double * prior_, * covariance_;
  const Memory & memory_;
  const Heard & heard_;
  Numbers distance_, direction_, bias_, innovation_, first_, residual_, whitened_, spread_, inner_;
};

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__FILTER_HPP_
