// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// The weights, and what the networks of zero_shot/network.py make of what they see.

#ifndef LOCDREAMER_ROS__NETWORK_HPP_
#define LOCDREAMER_ROS__NETWORK_HPP_

#include <algorithm>
#include <cmath>
#include <vector>

#include "arithmetic.hpp"
#include "singles.hpp"

namespace locdreamer_ros
{

constexpr int VX = 3, COMMON = 6, FIRST = 7;
constexpr int NEWS = 8, PACES = 3, CONTEXT = NEWS * PACES, HIDDEN = 24;
constexpr int SEEN_CONTEXT[] = {0, 2, 3, 4, 8, 10, 12, 13, 14, 16, 18, 20, 21, 22};
constexpr int OWN_FEATURES = 21, KNOWN = OWN_FEATURES + 14, SEEN = KNOWN + 2;
constexpr int LEVEL[] = {0, 1, VX, VX + 1};

struct Network
{
  // Weights by input, so that a row of them is added at a time.
  Row token[SEEN], token_bias, pool[2 * WIDTH], pool_bias, mix[2 * WIDTH], mix_bias;
  Row range_head[3], motion_head[2];
  double range_bias[3], motion_bias[2];
  double climate[CONTEXT + 2][HIDDEN], climate_bias[HIDDEN];
  double climate_head[4][HIDDEN], climate_head_bias[4];
  double trust[CONTEXT + 1][HIDDEN], trust_bias[HIDDEN];
  double trust_head[HIDDEN], trust_head_bias;
  // Noises, and what `layout` and `types` fix.
  double acceleration, vertical, common_walk, own, own_time, local, local_time, local_way;
  double sigma, pace[PACES], silent, floor, most_ahead, near, near_at;
};

constexpr size_t ROWS = SEEN + 1 + 2 * WIDTH + 1 + 2 * WIDTH + 1 + 3 + 2;
constexpr size_t WEIGHTS = ROWS * WIDTH + 3 + 2 + (CONTEXT + 3) * HIDDEN + 4 * (HIDDEN + 1) +
  (CONTEXT + 2) * HIDDEN + HIDDEN + 1 + 17;

// What the network makes of ranges, and what it works on.
struct Look
{
  Numbers sigma, shift, jump, late, head, large;
  double motion[2];
  std::vector<Row> token, mixed;
};

// before (K): what the features known before the first look make of the tokens.
inline void look_at(
  const Network & net, const std::vector<Row> & before, const Numbers & residual, float again,
  Look & found)
{
  const int count = static_cast<int>(residual.size());
  Row both[2], pooled = net.pool_bias, shared = net.mix_bias;
  found.token.assign(before.begin(), before.end());
  found.late.resize(whole(count));
  std::copy_n(residual.data(), count, found.late.data());
  in_vectors(found.late.data(), count, [](auto & x) {x = squash(x);});
  for (int k = 0; k < count; k++) {
    const float late[] = {static_cast<float>(found.late[k]), again};
    accumulate(late, 2, 1, SEEN - KNOWN, net.token + KNOWN, &found.token[k]);
  }
  silu(found.token.data(), count);
  across_rows(
    1, [&](int j, auto sum) {
      using Some = decltype(sum);
      Some most = sum = load<Some>(found.token[0].at + j);
      for (int k = 1; k < count; k++) {
        const Some one = load<Some>(found.token[k].at + j);
        sum += one;
        most = one > most ? one : most;
      }
      store(sum / static_cast<float>(count), both[0].at + j);
      store(most, both[1].at + j);
    });
  accumulate(both[0].at, 0, 1, 2 * WIDTH, net.pool, &pooled);
  silu(&pooled, 1);
  accumulate(pooled.at, 0, 1, WIDTH, net.mix + WIDTH, &shared);
  found.mixed.assign(count, shared);
  accumulate(found.token[0].at, WIDTH, count, WIDTH, net.mix, &found.mixed[0]);
  silu(found.mixed.data(), count);
  // Of each range the three heads, then the two of the motion.
  Numbers & head = found.head, & large = found.large;
  head.resize(whole(3 * count + 2));
  for (int i = 0; i < 3; i++) {
    for (int k = 0; k < count; k++) {
      head[i * count + k] = dot(net.range_head[i], found.mixed[k]) + net.range_bias[i];
    }
  }
  double * motion = &head[3 * count];
  for (int i = 0; i < 2; i++) {
    motion[i] = dot(net.motion_head[i], pooled) + net.motion_bias[i];
  }
  in_vectors(head.data(), 3 * count + 2, [](auto & x) {x = limited(x, 4.0);});
  large = head;
  in_vectors(large.data(), 3 * count + 2, [](auto & x) {x = exponential(x);});
  for (Numbers * each : {&found.sigma, &found.shift, &found.jump}) {each->resize(count);}
  for (int k = 0; k < count; k++) {
    found.sigma[k] = 0.02 + net.sigma * large[k];
    found.shift[k] = 0.3 * head[count + k];
    found.jump[k] = square(0.02 * large[2 * count + k]);
  }
  for (int i = 0; i < 2; i++) {found.motion[i] = square(0.01 * large[3 * count + i]);}
}

inline void hidden(
  const double (*weight)[HIDDEN], const double * bias, const double * in, int count, double * out)
{
  across(
    HIDDEN, [&](int j, auto sum) {
      using Some = decltype(sum);
      Some other = sum = Some{};  // two, so that one does not wait for the other
      int i = 0;
      for (; i + 2 <= count; i += 2) {
        sum += in[i] * load<Some>(weight[i] + j);
        other += in[i + 1] * load<Some>(weight[i + 1] + j);
      }
      if (i < count) {sum += in[i] * load<Some>(weight[i] + j);}
      store(load<Some>(bias + j) + sum + other, out + j);
    });
  silu(out, HIDDEN);
}

// What is shown of the state: mean (2D) and covariance (2D, 2D), multiplied by the trust's scale.
inline bool publish(
  const Network & net, const double * context, const double * mean, const double * covariance,
  int size, int axes, double * shown, double * shown_covariance)
{
  double look[CONTEXT + 1], trust[HIDDEN];
  std::copy(context, context + CONTEXT, look);
  look[CONTEXT] = 0.5 * std::log(covariance[0] + covariance[size + 1]) + 1.0;
  hidden(net.trust, net.trust_bias, look, CONTEXT + 1, trust);
  const double told = dot(net.trust_head, trust, HIDDEN) + net.trust_head_bias;
  const double scale = exponential(limited(Four{told}, 4.0))[0];
  for (int i = 0; i < 2 * axes; i++) {
    const int row = i < axes ? i : SPACE + i - axes;
    shown[i] = mean[row];
    for (int j = 0; j < 2 * axes; j++) {
      const int column = j < axes ? j : SPACE + j - axes;
      shown_covariance[i * 2 * axes + j] = covariance[row * size + column] * scale;
    }
  }
  return finite_variances(shown_covariance, 2 * axes);
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__NETWORK_HPP_
