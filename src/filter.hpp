// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// What is in a state, and predict of zero_shot/step.py.

#ifndef LOCDREAMER_ROS__FILTER_HPP_
#define LOCDREAMER_ROS__FILTER_HPP_

#include <algorithm>
#include <cmath>
#include <vector>

#include "network.hpp"

namespace locdreamer_ros
{

constexpr int64_t MOST_SLOTS = 10000;

// A filter's state in one array, as zero_shot/state.py has it: seconds since the last update, updates
// so far, context, of each slot its age and surprise, mean and covariance.
struct State
{
  State(double * packed, int64_t slots_)
  : slots(static_cast<int>(slots_)), size(FIRST + 2 * slots), times(packed), context(times + 2),
    age(context + CONTEXT), surprise(age + slots), mean(surprise + slots), covariance(mean + size)
  {
  }

  static size_t count(int64_t slots)
  {
    const size_t size = FIRST + 2 * slots;
    return 2 + CONTEXT + 2 * slots + size + size * size;
  }

  const int slots, size;
  double * const times, * const context, * const age, * const surprise, * const mean;
  double * const covariance;
};

inline bool predict(
  const Network & net, bool climbs, double dt, int slots, const double * before,
  const double * covariance_before, const double * context, double * mean, double * covariance)
{
  const int size = FIRST + 2 * slots;
  const double way = std::sqrt(square(before[VX]) + square(before[VX + 1]) + 1e-4) * dt;
  double look[CONTEXT + 2], inner[HIDDEN], climate[whole(4)] = {};
  std::copy(context, context + CONTEXT, look);
  look[CONTEXT] = std::log(dt + 1e-3);
  look[CONTEXT + 1] = way;
  hidden(net.climate, net.climate_bias, look, CONTEXT + 2, inner);
  for (int i = 0; i < 4; i++) {
    climate[i] = dot(net.climate_head[i], inner, HIDDEN) + net.climate_head_bias[i];
  }
  in_vectors(climate, 4, [](auto & x) {x = exponential(limited(x, 2.0));});
  const double own = std::exp(-dt / net.own_time);
  const double local =
    std::exp(-dt / net.local_time - way / net.local_way / climate[1]);
  const double density = square(net.acceleration * climate[0]);
  static Numbers scale;
  scale.assign(size, 1.0);
  std::fill_n(scale.begin() + FIRST, slots, own);
  std::fill_n(scale.begin() + FIRST + slots, slots, local);
  for (int i = 0; i < size; i++) {
    mean[i] = before[i] * scale[i];
    const double * from = covariance_before + static_cast<size_t>(i) * size;
    double * to = covariance + static_cast<size_t>(i) * size;
    scaled(from, scale.data(), scale[i], size, to);
  }
  for (int i = 0; i < SPACE; i++) {
    mean[i] += dt * mean[SPACE + i];
    add(covariance + (SPACE + i) * size, dt, size, covariance + i * size);
  }
  for (int i = 0; i < size; i++) {
    double * row = covariance + static_cast<size_t>(i) * size;
    for (int j = 0; j < SPACE; j++) {row[j] += dt * row[SPACE + j];}
  }
  for (int i = 1; i < SPACE; i++) {  // elsewhere it is as symmetric as it was
    for (int j = 0; j < i; j++) {covariance[i * size + j] = covariance[j * size + i];}
  }
  const double climb = climbs ? square(net.vertical * climate[3]) : 0.0;
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
  const double walk = square(net.common_walk * climate[2]) * dt;
  const double own_noise = square(net.own) * (1.0 - own * own);
  const double local_noise = square(net.local) * (1.0 - local * local);
  for (int i = COMMON; i < size; i++) {
    const double more = i == COMMON ? walk : i < FIRST + slots ? own_noise : local_noise;
    covariance[static_cast<size_t>(i) * size + i] += 1e-7 + more;
  }
  return finite(mean, size) && finite_variances(covariance, size);
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__FILTER_HPP_
