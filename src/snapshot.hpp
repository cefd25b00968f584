// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// The places that explain a window of ranges: candidates and polish of integrity/snapshot.py. Several
// places at once: each number of theirs is a Vector.

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
template<class Vector, int N, int COLUMNS>
INLINE bool solve_general(Vector (& a)[N][N], Vector (& b)[N][COLUMNS])
{
  for (int i = 0; i < N; i++) {
    for (int k = i + 1; k < N; k++) {
      const Bits<Vector> larger = magnitude(a[k][i]) > magnitude(a[i][i]);
      for (int j = i; j < N; j++) {exchange_where<Vector>(larger, a[i][j], a[k][j]);}
      for (int j = 0; j < COLUMNS; j++) {exchange_where<Vector>(larger, b[i][j], b[k][j]);}
    }
    if (!all(magnitude(a[i][i]) > 0.0)) {return false;}
    for (int k = i + 1; k < N; k++) {
      const Vector factor = a[k][i] / a[i][i];
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
template<int D, class Vector>
class Explanation
{
public:
  static constexpr int SIZE = 2 * D + 1, AT_ONCE = LANES<Vector>;

  Explanation(const Explanation &) = delete;
  Explanation & operator=(const Explanation &) = delete;
  Explanation(const Window & window, const Scales & scales, bool still, bool shared, double floor)
  : w_(window), s_(scales), shared_(shared), floor_(floor),
    calm_(still ? 1e6 : 1.0 / square(scales.speed)),
    residual_(room(blocks_, AT_ONCE * window.count))
  {
    put_in_order();
    ranges_.reserve(w_.count);
    for (int n = 0, begin = 0; n < w_.count; n++) {
      const int row = order_[n];
      const double * at = w_.places + w_.anchor[row] * SPACE;
      const double weight = w_.weight[row], scale = s_.scale + s_.scale_age * square(w_.age[row]);
      const bool first = n == 0 || w_.anchor[order_[n - 1]] != w_.anchor[row];
      ranges_.push_back(
        {{at[0], at[1], at[2]}, w_.age[row], w_.value[row], weight, scale, first});
      wide_.push_back(1.0 / (3.0 * scale));
      narrow_.push_back(1.0 / scale);
      const bool alike = n + 1 < w_.count && w_.anchor[order_[n + 1]] == w_.anchor[row] &&
        w_.weight[order_[n + 1]] == weight;
      if (!alike) {
        votes_.add(n + 1 - begin, weight);
        begin = n + 1;
      }
    }
    votes_.close();
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
    Numbers cost(many + AT_ONCE - 1), offset(many + AT_ONCE - 1);
    for (int m = 0; m < many; m += AT_ONCE) {
      Vector position[D], moved = {};
      for (int i = 0; i < D; i++) {position[i] = column_of(places_.data(), D, i, m, many);}
      look_still(position);
      const Vector spent = shared_ ?
        least_cost(residual_, wide_.data(), votes_, s_.offset, moved) :
        cost_at(residual_, wide_.data(), votes_.runs, Vector{});
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
    for (int c = 0; c < found; c += AT_ONCE) {
      Vector state[SIZE], spent, covariance[D * D];
      for (int i = 0; i < SIZE; i++) {state[i] = column_of(states, SIZE, i, c, found);}
      if (!settle(state, spent, covariance)) {return -1;}
      for (int m = c; m < std::min(c + AT_ONCE, found); m++) {
        const int lane = m - c;
        for (int i = 0; i < SIZE; i++) {states[m * SIZE + i] = state[i][lane];}
        for (int i = 0; i < D * D; i++) {covariances[m * D * D + i] = covariance[i][lane];}
        for (int n = 0; n < w_.count; n++) {
          residuals[m * w_.count + order_[n]] = residual_[AT_ONCE * n + lane];
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
    bool first;  // of its anchor
  };

  // Rows by anchor, then the latest first.
  void put_in_order()
  {
    const auto begin = w_.anchor, end = begin + w_.count;
    std::vector<int> place(*std::max_element(begin, end) + 2, 0);
    for (auto each = begin; each < end; each++) {place[*each + 1]++;}
    std::partial_sum(place.begin(), place.end(), place.begin());
    order_.resize(w_.count);
    for (int n = w_.count - 1; n >= 0; n--) {order_[place[w_.anchor[n]]++] = n;}
    const auto later = [&](int a, int b) {
        return w_.age[a] != w_.age[b] ? w_.age[a] > w_.age[b] : a < b;
      };
    for (int from = 0, to; from < w_.count; from = to) {
      to = place[w_.anchor[order_[from]]];
      const auto rows = order_.begin();  // mostly in order: the latest came last
      if (!std::is_sorted(rows + from, rows + to, later)) {
        std::sort(rows + from, rows + to, later);
      }
    }
  }

  // A column of the rows (count, width) from one on; the last once more, where there are no more.
  static Vector column_of(const double * rows, int width, int column, int from, int count)
  {
    Vector found;
    for (int lane = 0; lane < AT_ONCE; lane++) {
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
  Vector away(const Told & range, const Vector * position, const Vector * velocity, Vector * way) const
  {
    Vector sum = {};
    for (int i = 0; i < SPACE; i++) {
      way[i] = i < D ? position[i] + range.age * velocity[i] - range.place[i] :
        Vector{} + (w_.height - range.place[i]);
      sum += way[i] * way[i];
    }
    const Vector length = root(sum);
    return length > floor_ ? length : Vector{} + floor_;
  }

  // Residuals of places that stand still: the ranges of an anchor have one distance.
  void look_still(const Vector * position)
  {
    const Vector still[D] = {};
    Vector distance = {}, unused[SPACE];
    for (int n = 0; n < w_.count; n++) {
      if (ranges_[n].first) {distance = away(ranges_[n], position, still, unused);}
      store(ranges_[n].value - distance, residual_ + AT_ONCE * n);
    }
  }

  void look(const Vector * position, const Vector * velocity, const Vector & offset)
  {
    Vector unused[SPACE];
    for (int n = 0; n < w_.count; n++) {
      const Vector distance = away(ranges_[n], position, velocity, unused);
      store(ranges_[n].value - distance - offset, residual_ + AT_ONCE * n);
    }
  }

  // Gauss-Newton from states to where they end, their costs and the covariances of their positions.
  bool settle(Vector * state, Vector & cost, Vector * covariance)
  {
    constexpr int n = SIZE;
    const double level = D == SPACE ? 1.0 / square(s_.height) : 0.0;
    Vector hessian[n][n], slope[n][1], kept[n][n];
    for (double factor : s_.steps) {
      std::fill(hessian[0], hessian[0] + n * n, Vector{});
      std::fill(slope[0], slope[0] + n, Vector{});
      for (const Told & range : ranges_) {
        Vector gradient[2 * SPACE + 1];
        const Vector distance = away(range, state, state + D, gradient);
        const double wide = factor * range.scale;
        const Vector left = range.value - distance - state[n - 1], near = 1.0 / distance;
        const Vector pull = 2.0 * range.weight / (wide * wide + left * left);
        for (int i = 0; i < D; i++) {
          gradient[i] *= near;
          gradient[D + i] = range.age * gradient[i];
        }
        gradient[n - 1] = Vector{} + 1.0;
        for (int i = 0; i < n; i++) {
          const Vector scaled = gradient[i] * pull;
          for (int j = i; j < n; j++) {hessian[i][j] += scaled * gradient[j];}
          slope[i][0] += scaled * left;
        }
      }
      for (int i = 0; i < n; i++) {
        for (int j = 0; j < i; j++) {hessian[i][j] = hessian[j][i];}
      }
      const Vector away = state[n - 1] / s_.offset;
      const Vector tie = shared_ ?
        2.0 / (1.0 + away * away) / square(s_.offset) : Vector{} + 1e9;
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
    Vector speed = {};
    for (int i = 0; i < D; i++) {speed += state[D + i] * state[D + i];}
    cost = cost_at(residual_, narrow_.data(), votes_.runs, Vector{}) +
      log_of_one_and_square(state[n - 1] / s_.offset) + 0.5 * calm_ * speed;
    if (D == SPACE) {cost += 0.5 * level * (state[2] - w_.height) * (state[2] - w_.height);}
    Vector inverse[n][D] = {};
    for (int i = 0; i < D; i++) {inverse[i][i] = Vector{} + 1.0;}
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
  Votes votes_;
  Blocks blocks_;
  double * const residual_;
  Numbers wide_, narrow_, places_;
};

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__SNAPSHOT_HPP_
