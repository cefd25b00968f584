// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Update of zero_shot/step.py.

#ifndef LOCDREAMER_ROS__UPDATE_HPP_
#define LOCDREAMER_ROS__UPDATE_HPP_

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "network.hpp"

namespace locdreamer_ros
{

// Ranges of one update: value m, ahead s, blocked 0..1 or NaN, sigma m that is stated of it or 0,
// place (K, 3) m, slot (K).
struct Heard
{
  Numbers value, ahead, blocked, stated, place;
  std::vector<int> slot;
  int count() const {return static_cast<int>(value.size());}
  void clear()
  {
    for (Numbers * each : {&value, &ahead, &blocked, &stated, &place}) {each->clear();}
    slot.clear();
  }
};

// Metres beyond which the network's single precision is too coarse: numpy's turn.
constexpr double FARTHEST = 1e6;
// Of each range, what is shown to the network bent by asinh, and as a logarithm.
constexpr int BENT = 8, LOGS = 5;

// What a filter works on besides mean and covariance.
struct Memory
{
  const double * age, * surprise, * context;  // (slots), (slots), (CONTEXT)
  double since, updates;
};

// What an update works on: kept from one to the next, so that nothing is allocated.
struct Workspace
{
  Numbers distance, direction, bias, near, innovation, first, residual, whitened, weight;
  Numbers column, jump;
  Numbers plain, spread, inner, features, bent, logs;
  Singles seen;  // the features
  std::vector<Row> before;
  Look look;

  void resize(size_t count, size_t size)
  {
    near.resize(whole(count));
    for (Numbers * each : {&distance, &bias, &innovation, &first, &residual, &whitened,
        &weight, &column, &jump})
    {
      each->assign(count, 0.0);
    }
    direction.resize(count * SPACE);
    plain.resize(count * size);
    spread.resize(count * size);
    inner.resize(count * count);
    features.resize(count * KNOWN);
    seen.resize(count * KNOWN);
    bent.resize(whole(count * BENT));
    logs.resize(whole(count * LOGS + 3));
  }
};

class Update
{
public:
  Update(
    const Network & net, int slots, const double * prior, const double * covariance,
    const Memory & memory, const Heard & heard, Workspace & work)
  : net_(net), slots_(slots), size_(FIRST + 2 * slots), count_(heard.count()),
    many_(std::log(double(count_))), prior_(prior),
    covariance_(covariance), memory_(memory), heard_(heard), work_(work),
    distance_(work.distance), direction_(work.direction), bias_(work.bias),
    innovation_(work.innovation), first_(work.first), residual_(work.residual),
    whitened_(work.whitened), spread_(work.spread), inner_(work.inner)
  {
    work.resize(count_, size_);
  }

  // The posterior into mean and covariance; false: numpy's turn.
  bool run(double * mean, double * covariance)
  {
    geometry(prior_);
    for (int k = 0; k < count_; k++) {work_.near[k] = distance_[k] / net_.near_at;}
    in_vectors(work_.near.data(), count_, [](auto & x) {x = logarithm(x);});
    for (int k = 0; k < count_; k++) {
      work_.near[k] *= net_.near;
      bias_[k] = bias(prior_, k) + work_.near[k];
      innovation_[k] = heard_.value[k] - distance_[k] - bias_[k];
    }
    first_ = innovation_;
    project(work_.plain);
    if (!features()) {return false;}
    Numbers & weight = work_.weight;
    const Look & look = work_.look;
    for (int again = 0; again < 2; again++) {
      look_at(net_, work_.before, residual_, again, work_.look);
      if (again) {
        relinearise(mean);
        project(spread_);
      } else {
        spread_ = work_.plain;
      }
      widen(look);
      close();
      for (int k = 0; k < count_; k++) {
        inner_[k * (count_ + 1)] += square(std::max(look.sigma[k], heard_.stated[k]));
      }
      if (!cholesky(inner_.data(), count_)) {return false;}
      for (int k = 0; k < count_; k++) {weight[k] = innovation_[k] - look.shift[k];}
      solve(inner_.data(), count_, weight.data());
      std::copy(prior_, prior_ + size_, mean);
      for (int k = 0; k < count_; k++) {add(spread_of(k), weight[k], size_, mean);}
      leftover(mean);
    }
    lessen(covariance);
    for (int i = 0; i < 4; i++) {covariance[LEVEL[i] * (size_ + 1)] += look.motion[i / 2];}
    for (int k = 0; k < count_; k++) {
      if (last_of_slot(k) == k) {
        covariance[static_cast<size_t>(local(k)) * (size_ + 1)] += work_.jump[k];
      }
    }
    return finite(mean, size_) && finite_variances(covariance, size_) &&
           finite(first_.data(), count_) && finite(residual_.data(), count_);
  }

  // Running means of how far ranges were off: context (CONTEXT), and surprise (slots) of those heard.
  void remember(
    const double * mean, const double * covariance, double * context, double * surprise) const
  {
    double news[NEWS] = {}, slow = 0.0, local_square = 0.0;
    auto second = [&](int i) {
        return square(mean[i]) + covariance[static_cast<size_t>(i) * (size_ + 1)];
      };
    double * seen = work_.bent.data(), * left = seen + count_;
    for (int k = 0; k < count_; k++) {
      seen[k] = first_[k];
      left[k] = residual_[k];
      slow += second(own(k)) / count_;
      local_square += second(local(k)) / count_;
    }
    double * biases = left + count_;
    biases[0] = std::sqrt(slow + 1e-6);
    biases[1] = std::sqrt(local_square + 1e-6);
    in_vectors(seen, 2 * count_ + 2, [](auto & x) {x = squash(x);});
    for (int k = 0; k < count_; k++) {
      const double off = std::fabs(seen[k]);
      news[0] += off / count_;
      news[1] += seen[k] / count_;
      news[2] += std::fabs(left[k]) / count_;
      news[3] = std::max(news[3], off);
      news[4] += std::fabs(whitened_[k]) / count_;
      const double before = memory_.surprise[heard_.slot[k]];
      surprise[heard_.slot[k]] = before + net_.pace[0] * (std::fabs(first_[k]) - before);
    }
    news[5] = biases[0];
    news[6] = biases[1];
    news[7] = many_;
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
      residual_[k] =
        heard_.value[k] - offset(point, k, unused) - bias(point, k) - work_.near[k];
    }
  }

  double * spread_of(int k) {return &spread_[static_cast<size_t>(k) * size_];}

  // H P (K, size), with the prior's P.
  void project(Numbers & spread)
  {
    const size_t size = size_;
    for (int k = 0; k < count_; k++) {
      const double * u = &direction_[k * SPACE], * p = covariance_;
      const double ahead = heard_.ahead[k];
      const double factor[] = {u[0], u[1], u[2], ahead * u[0], ahead * u[1], ahead * u[2], 1.0};
      const double * o = p + own(k) * size, * l = p + local(k) * size;
      double * row = &spread[k * size];
      across(
        size, [&](int j, auto some) {
          using Some = decltype(some);
          some = load<Some>(o + j) + load<Some>(l + j);
          for (int i = 0; i < FIRST; i++) {some += factor[i] * load<Some>(p + i * size + j);}
          store(some, row + j);
        });
    }
  }

  // Of ranges to one anchor the last one's jump counts.
  int last_of_slot(int k) const
  {
    int last = k;
    for (int m = k + 1; m < count_; m++) {
      if (heard_.slot[m] == heard_.slot[k]) {last = m;}
    }
    return last;
  }

  // Spread under P with the jumps that the network sees: of the tag's motion, and of local biases.
  void widen(const Look & look)
  {
    for (int k = 0; k < count_; k++) {
      const double * u = &direction_[k * SPACE];
      double * row = spread_of(k);
      const double ahead = heard_.ahead[k];
      for (int i = 0; i < 2; i++) {
        row[i] += u[i] * look.motion[0];
        row[VX + i] += ahead * u[i] * look.motion[1];
      }
      work_.jump[k] = look.jump[last_of_slot(k)];
      row[local(k)] += work_.jump[k];
    }
  }

  // spread H^T (K, K) into inner.
  void close()
  {
    for (int k = 0; k < count_; k++) {
      const double * row = spread_of(k);
      for (int m = 0; m < count_; m++) {
        const double * u = &direction_[m * SPACE];
        inner_[k * count_ + m] = u[0] * row[0] + u[1] * row[1] + u[2] * row[2] +
          heard_.ahead[m] * (u[0] * row[3] + u[1] * row[4] + u[2] * row[5]) +
          row[COMMON] + row[own(m)] + row[local(m)];
      }
    }
  }

  // The prior's covariance less spread^T inner^-1 spread; inner holds its factor.
  void lessen(double * covariance)
  {
    const size_t size = size_;
    for (int k = 0; k < count_; k++) {  // spread becomes L^-1 spread
      double * row = spread_of(k);
      for (int m = 0; m < k; m++) {add(spread_of(m), -inner_[k * count_ + m], size_, row);}
      const double share = 1.0 / inner_[k * count_ + k];
      for (size_t j = 0; j < size; j++) {row[j] *= share;}
    }
    const double * gained = spread_.data(), * before = covariance_;
    const size_t count = count_;
    for (size_t i = 0; i < size; i++) {
      const double * from = before + i * size;
      double * to = covariance + i * size;
      across(
        size, [&](int j, auto left) {
          using Some = decltype(left);
          left = load<Some>(from + j);
          for (size_t k = 0; k < count; k++) {
            left -= gained[k * size + i] * load<Some>(gained + k * size + j);
          }
          store(left, to + j);
        });
    }
  }

  // What the network sees of each range before the first look, through its first layer.
  bool features()
  {
    const size_t size = size_;
    const double * p = covariance_;
    for (int k = 0; k < count_; k++) {
      if (!(std::fabs(innovation_[k]) < FARTHEST && distance_[k] < FARTHEST)) {return false;}
    }
    spread_ = work_.plain;
    close();
    for (int k = 0; k < count_; k++) {inner_[k * (count_ + 1)] += square(net_.sigma);}
    for (int k = 0; k < count_; k++) {whitened_[k] = std::sqrt(inner_[k * (count_ + 1)]);}
    if (!cholesky(inner_.data(), count_)) {return false;}
    invert_lower(inner_.data(), count_);
    Numbers & whitened = work_.column, & all = work_.features;
    for (int k = 0; k < count_; k++) {
      whitened[k] = dot(&inner_[k * count_], innovation_.data(), k + 1);
    }
    const double mean_off =
      std::accumulate(innovation_.begin(), innovation_.end(), 0.0) / count_;
    auto variance = [&](int row) {return std::max(p[row * (size + 1)], 1e-8);};
    double * bent = work_.bent.data(), * logs = work_.logs.data();
    double * level = logs + LOGS * count_;
    for (int k = 0; k < count_; k++) {
      double own_precision = 0.0, weighted = 0.0;  // of the inverse, and of it times the innovation
      for (int i = k; i < count_; i++) {
        own_precision += square(inner_[i * count_ + k]);
        weighted += inner_[i * count_ + k] * whitened[i];
      }
      const double precision = std::max(own_precision, 1e-6), alone = weighted / precision;
      const double * u = &direction_[k * SPACE];
      const double along = (u[0] * p[0] + u[1] * p[size]) * u[0] +
        (u[0] * p[1] + u[1] * p[size + 1]) * u[1];
      const int slot = heard_.slot[k];
      const double bending[BENT] = {
        innovation_[k] / 0.1,
        innovation_[k] / whitened_[k],
        (innovation_[k] - mean_off) / 0.1,
        alone / 0.1,
        alone * std::sqrt(precision),
        prior_[own(k)] / 0.1,
        prior_[local(k)] / 0.1,
        distance_[k] / 10.0,
      };
      const double of[LOGS] = {
        variance(own(k)),
        variance(local(k)),
        memory_.age[slot] + 0.05,
        memory_.surprise[slot] + 0.02,
        std::max(along, 1e-6),
      };
      std::copy(bending, bending + BENT, bent + k * BENT);
      std::copy(of, of + LOGS, logs + k * LOGS);
    }
    level[0] = variance(COMMON);
    level[1] = variance(0) + variance(1);
    level[2] = memory_.since + 0.05;
    in_vectors(bent, BENT * count_, [](auto & x) {x = inverse_sinh(x);});
    in_vectors(logs, LOGS * count_ + 3, [](auto & x) {x = logarithm(x);});
    work_.before.assign(count_, net_.token_bias);
    for (int k = 0; k < count_; k++) {
      const double * b = bent + k * BENT, * l = logs + k * LOGS, * u = &direction_[k * SPACE];
      const double blocked = heard_.blocked[k];
      const bool known = !std::isnan(blocked);
      const double own_features[OWN_FEATURES] = {
        b[0] / 3.0,
        b[1],
        b[2] / 3.0,
        b[3] / 3.0,
        b[4],
        b[5] / 3.0,
        b[6] / 3.0,
        0.5 * l[0] + 2.0,
        0.5 * l[1] + 2.0,
        b[7],
        -u[2],
        u[0] * prior_[VX] + u[1] * prior_[VX + 1],
        0.5 * l[2],
        l[3] + 2.0,
        0.5 * l[4] + 1.0,
        known ? blocked - 0.3 : 0.0,
        known ? 1.0 : 0.0,
        0.5 * level[0] + 2.0,
        0.5 * level[1] + 1.0,
        level[2],
        many_,
      };
      double * seen = &all[static_cast<size_t>(k) * KNOWN];
      std::copy(own_features, own_features + OWN_FEATURES, seen);
      whitened_[k] = b[1];
      for (int i = OWN_FEATURES; i < KNOWN; i++) {
        seen[i] = memory_.context[SEEN_CONTEXT[i - OWN_FEATURES]];
      }
    }
    float * seen = work_.seen.data();
    if (!narrowed(all.data(), count_ * KNOWN, seen)) {return false;}
    accumulate(seen, KNOWN, count_, KNOWN, net_.token, work_.before.data());
    return true;
  }

  const Network & net_;
  const int slots_, size_, count_;
  const double many_;
  const double * prior_, * covariance_;
  const Memory & memory_;
  const Heard & heard_;
  Workspace & work_;
  Numbers & distance_, & direction_, & bias_, & innovation_, & first_, & residual_, & whitened_;
  Numbers & spread_, & inner_;
};

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__UPDATE_HPP_
