// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// The places that explain a window of ranges: candidates and polish of integrity/snapshot.py. Four
// places at once: each number of theirs is a Four.

#ifndef LOCDREAMER_ROS__SNAPSHOT_HPP_
#define LOCDREAMER_ROS__SNAPSHOT_HPP_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "costs.hpp"

namespace locdreamer_ros
{

// As in Gathered: of each range its age s, anchor (row), value m and weight; anchors' places (A, 3).
struct Window
{
  const double * age, * value, * weight, * places;
  const int64_t * anchor;
  int count, axes;
  double height;
};

// The constants of integrity/snapshot.py that its numbers hang on.
struct Scales
{
  double scale, scale_age, offset, speed, height, apart;
  int polished, nearest;
  std::vector<double> steps, levels;
};

inline std::vector<int> sorted_rows(const double * values, int count)
{
  std::vector<int> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(
    order.begin(), order.end(), [values](int a, int b) {return values[a] < values[b];});
  return order;
}

// Solve a (N, N) x = b (N, COLUMNS) with partial pivoting, all in place; false: one is singular.
template<int N, int COLUMNS>
INLINE bool solve_general(Four (& a)[N][N], Four (& b)[N][COLUMNS])
{
  for (int i = 0; i < N; i++) {
    for (int k = i + 1; k < N; k++) {
      const FourBits larger = magnitude(a[k][i]) > magnitude(a[i][i]);
      for (int j = i; j < N; j++) {exchange_where(larger, a[i][j], a[k][j]);}
      for (int j = 0; j < COLUMNS; j++) {exchange_where(larger, b[i][j], b[k][j]);}
    }
    if (!all(magnitude(a[i][i]) > 0.0)) {return false;}
    for (int k = i + 1; k < N; k++) {
      const Four factor = a[k][i] / a[i][i];
      for (int j = i; j < N; j++) {a[k][j] -= factor * a[i][j];}
      for (int j = 0; j < COLUMNS; j++) {b[k][j] -= factor * b[i][j];}
    }
  }
  for (int i = N - 1; i >= 0; i--) {
    for (int j = 0; j < COLUMNS; j++) {
      for (int k = i + 1; k < N; k++) {b[i][j] -= a[i][k] * b[k][j];}
      b[i][j] /= a[i][i];
    }
  }
  return true;
}

// What explains a window in D dimensions. The state: position (D), velocity (D), offset.
template<int D>
class Explanation
{
public:
  static constexpr int SIZE = 2 * D + 1;

  Explanation(const Window & window, const Scales & scales, bool still, bool shared, double floor)
  : w_(window), s_(scales), shared_(shared), floor_(floor),
    calm_(still ? 1e6 : 1.0 / square(scales.speed)), order_(window.count), ranges_(window.count),
    residual_(4 * window.count)
  {
    std::iota(order_.begin(), order_.end(), 0);
    std::sort(
      order_.begin(), order_.end(), [&](int a, int b) {
        const int64_t one = w_.anchor[a], other = w_.anchor[b];
        return one != other ? one < other : w_.age[a] != w_.age[b] ? w_.age[a] > w_.age[b] : a < b;
      });
    for (int n = 0, begin = 0; n < w_.count; n++) {
      const int row = order_[n];
      const double * at = w_.places + w_.anchor[row] * SPACE;
      const double weight = w_.weight[row], scale = s_.scale + s_.scale_age * square(w_.age[row]);
      ranges_[n] = {{at[0], at[1], at[2]}, w_.age[row], w_.value[row], weight, scale};
      wide_.push_back(1.0 / (3.0 * scale));
      narrow_.push_back(1.0 / scale);
      const bool alike = n + 1 < w_.count && w_.anchor[order_[n + 1]] == w_.anchor[row] &&
        w_.weight[order_[n + 1]] == weight;
      if (!alike) {
        add_runs(runs_, begin, n + 1, weight);
        begin = n + 1;
      }
    }
  }

  // Candidates (M, D): where circles meet, then the seeds.
  void candidates(const double * seeds, int count)
  {
    meet();
    places_.insert(places_.end(), seeds, seeds + static_cast<size_t>(count) * D);
  }

  // Polish those that are best and apart: states (polished, SIZE), costs, covariances of the
  // position (D, D) and residuals (count); how many, or -1: numpy's turn.
  int polish(double * states, double * costs, double * covariances, double * residuals)
  {
    const int many = static_cast<int>(places_.size()) / D;
    if (!finite(places_.data(), places_.size())) {return -1;}
    Numbers cost(many + 3), offset(many + 3);
    for (int m = 0; m < many; m += 4) {
      Four position[D], still[D] = {}, moved = {};
      for (int i = 0; i < D; i++) {position[i] = column_of(places_.data(), D, i, m, many);}
      look(position, still, Four{});
      const Four spent = shared_ ?
        least_cost(residual_.data(), wide_.data(), runs_, s_.offset, moved) :
        cost_at(residual_.data(), wide_.data(), runs_, Four{});
      store(spent, &cost[m]);
      store(moved, &offset[m]);
    }
    std::vector<int> chosen;
    for (int m : sorted_rows(cost.data(), many)) {
      const bool apart = std::all_of(
        chosen.begin(), chosen.end(), [&](int other) {
          double sum = 0.0;
          for (int i = 0; i < D; i++) {sum += square(places_[m * D + i] - places_[other * D + i]);}
          return std::sqrt(sum) > s_.apart;
        });
      if (apart) {chosen.push_back(m);}
      if (static_cast<int>(chosen.size()) == s_.polished) {break;}
    }
    const int found = static_cast<int>(chosen.size());
    for (int c = 0; c < found; c++) {
      double * state = states + c * SIZE;
      std::fill_n(state, SIZE, 0.0);
      std::copy_n(&places_[static_cast<size_t>(chosen[c]) * D], D, state);
      state[SIZE - 1] = offset[chosen[c]];
    }
    for (int c = 0; c < found; c += 4) {
      Four state[SIZE], spent, covariance[D * D];
      for (int i = 0; i < SIZE; i++) {state[i] = column_of(states, SIZE, i, c, found);}
      if (!settle(state, spent, covariance)) {return -1;}
      for (int m = c; m < std::min(c + 4, found); m++) {
        const int lane = m - c;
        for (int i = 0; i < SIZE; i++) {states[m * SIZE + i] = state[i][lane];}
        for (int i = 0; i < D * D; i++) {covariances[m * D * D + i] = covariance[i][lane];}
        for (int n = 0; n < w_.count; n++) {
          residuals[m * w_.count + order_[n]] = residual_[4 * n + lane];
        }
        costs[m] = spent[lane];
      }
    }
    return found;
  }

private:
  // What is known of a range; those of an anchor are beside each other, the latest first.
  struct Told
  {
    double place[SPACE], age, value, weight, scale;
  };

  // A column of the four rows (count, width) from one on; the last once more, where there are no more.
  static Four column_of(const double * rows, int width, int column, int from, int count)
  {
    Four found;
    for (int lane = 0; lane < 4; lane++) {
      found[lane] = rows[static_cast<size_t>(std::min(from + lane, count - 1)) * width + column];
    }
    return found;
  }

  void meet()
  {
    // Each anchor's last range, those of the shortest first.
    std::vector<int> last;
    for (int n = 0; n < w_.count; n++) {
      if (n == 0 || w_.anchor[order_[n]] != w_.anchor[order_[n - 1]]) {last.push_back(order_[n]);}
    }
    std::stable_sort(
      last.begin(), last.end(), [&](int a, int b) {return w_.value[a] < w_.value[b];});
    if (static_cast<int>(last.size()) > s_.nearest) {last.resize(s_.nearest);}
    const size_t levels = D == 2 ? 1 : s_.levels.size();
    for (size_t l = 0; l < levels; l++) {
      const double height = w_.height + (D == 2 ? 0.0 : s_.levels[l]);
      for (double side : {1.0, -1.0}) {
        for (size_t i = 0; i < last.size(); i++) {
          for (size_t j = i + 1; j < last.size(); j++) {cross(last[i], last[j], height, side);}
        }
      }
    }
  }

  void cross(int first, int second, double height, double side)
  {
    const double * p = w_.places + w_.anchor[first] * SPACE;
    const double * q = w_.places + w_.anchor[second] * SPACE;
    const double length = std::max(std::hypot(q[0] - p[0], q[1] - p[1]), 1e-6);
    const double ux = (q[0] - p[0]) / length, uy = (q[1] - p[1]) / length;
    const double a = radius(first, height - p[2]), b = radius(second, height - q[2]);
    double x = (a * a - b * b + length * length) / (2.0 * length);
    x = std::min(std::max(x, -a), a);
    const double y = std::sqrt(std::max(a * a - x * x, 0.0));
    places_.push_back(p[0] + ux * x - side * uy * y);
    places_.push_back(p[1] + uy * x + side * ux * y);
    if (D == SPACE) {places_.push_back(height);}
  }

  double radius(int range, double above) const
  {
    return std::sqrt(std::max(square(w_.value[range]) - square(above), 0.01));
  }

  // Distance from a range's anchor to where the tag is at the range's own stamp, and the way (3).
  Four away(const Told & range, const Four * position, const Four * velocity, Four * way) const
  {
    Four sum = {};
    for (int i = 0; i < SPACE; i++) {
      way[i] = i < D ? position[i] + range.age * velocity[i] - range.place[i] :
        Four{} + (w_.height - range.place[i]);
      sum += way[i] * way[i];
    }
    const Four length = root(sum);
    return length > floor_ ? length : Four{} + floor_;
  }

  void look(const Four * position, const Four * velocity, const Four & offset)
  {
    Four unused[SPACE];
    for (int n = 0; n < w_.count; n++) {
      const Four distance = away(ranges_[n], position, velocity, unused);
      store(ranges_[n].value - distance - offset, &residual_[4 * n]);
    }
  }

  // Gauss-Newton from states to where they end, their costs and the covariances of their positions.
  bool settle(Four * state, Four & cost, Four * covariance)
  {
    constexpr int n = SIZE;
    const double level = D == SPACE ? 1.0 / square(s_.height) : 0.0;
    Four hessian[n][n], slope[n][1], kept[n][n];
    for (double factor : s_.steps) {
      std::fill(hessian[0], hessian[0] + n * n, Four{});
      std::fill(slope[0], slope[0] + n, Four{});
      for (const Told & range : ranges_) {
        Four gradient[2 * SPACE + 1];
        const Four distance = away(range, state, state + D, gradient);
        const double wide = factor * range.scale;
        const Four left = range.value - distance - state[n - 1], near = 1.0 / distance;
        const Four pull = 2.0 * range.weight / (wide * wide + left * left);
        for (int i = 0; i < D; i++) {
          gradient[i] *= near;
          gradient[D + i] = range.age * gradient[i];
        }
        gradient[n - 1] = Four{} + 1.0;
        for (int i = 0; i < n; i++) {
          const Four scaled = gradient[i] * pull;
          for (int j = i; j < n; j++) {hessian[i][j] += scaled * gradient[j];}
          slope[i][0] += scaled * left;
        }
      }
      for (int i = 0; i < n; i++) {
        for (int j = 0; j < i; j++) {hessian[i][j] = hessian[j][i];}
      }
      const Four away = state[n - 1] / s_.offset;
      const Four tie = shared_ ?
        2.0 / (1.0 + away * away) / square(s_.offset) : Four{} + 1e9;
      for (int i = 0; i < D; i++) {
        hessian[D + i][D + i] += calm_;
        hessian[i][i] += 1e-4;
        slope[D + i][0] -= calm_ * state[D + i];
      }
      hessian[n - 1][n - 1] += tie;
      slope[n - 1][0] -= tie * state[n - 1];
      if (D == SPACE) {
        hessian[2][2] += level;
        slope[2][0] -= level * (state[2] - w_.height);
      }
      std::copy(hessian[0], hessian[0] + n * n, kept[0]);
      if (!solve_general(hessian, slope)) {return false;}
      for (int i = 0; i < n; i++) {
        state[i] += slope[i][0];
        if (!all(magnitude(state[i]) < HUGE_VAL)) {return false;}
      }
    }
    look(state, state + D, state[n - 1]);
    Four speed = {};
    for (int i = 0; i < D; i++) {speed += state[D + i] * state[D + i];}
    cost = cost_at(residual_.data(), narrow_.data(), runs_, Four{}) +
      log_of_one_and_square(state[n - 1] / s_.offset) + 0.5 * calm_ * speed;
    if (D == SPACE) {cost += 0.5 * level * (state[2] - w_.height) * (state[2] - w_.height);}
    Four inverse[n][D] = {};
    for (int i = 0; i < D; i++) {inverse[i][i] = Four{} + 1.0;}
    if (!solve_general(kept, inverse)) {return false;}
    bool good = all(magnitude(cost) < HUGE_VAL);
    for (int i = 0; i < D; i++) {
      for (int j = 0; j < D; j++) {
        covariance[i * D + j] = 0.5 * (inverse[i][j] + inverse[j][i]);
        good = good && all(magnitude(covariance[i * D + j]) < HUGE_VAL);
      }
    }
    return good;
  }

  const Window & w_;
  const Scales & s_;
  const bool shared_;
  const double floor_, calm_;
  std::vector<int> order_;
  std::vector<Told> ranges_;
  std::vector<Run> runs_;
  Numbers residual_, wide_, narrow_, places_;
};

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__SNAPSHOT_HPP_
