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

// Solve a (N, N) x = b (N, COLUMNS) with partial pivoting, all in place; of what is singular not all
// of x is finite.
template<class Vector, int N, int COLUMNS>
INLINE void solve_general(Vector (& a)[N][N], Vector (& b)[N][COLUMNS])
{
  for (int i = 0; i < N; i++) {
    for (int k = i + 1; k < N; k++) {
      const Bits<Vector> larger = magnitude(a[k][i]) > magnitude(a[i][i]);
      for (int j = i; j < N; j++) {exchange_where<Vector>(larger, a[i][j], a[k][j]);}
      for (int j = 0; j < COLUMNS; j++) {exchange_where<Vector>(larger, b[i][j], b[k][j]);}
    }
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
    wide_.reserve(w_.count);
    narrow_.reserve(w_.count);
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
    // The best that are apart: of those that are left again and again the best.
    std::vector<int> chosen, left(many);
    std::iota(left.begin(), left.end(), 0);
    while (!left.empty() && static_cast<int>(chosen.size()) < s_.polished) {
      const int best = *std::min_element(
        left.begin(), left.end(), [&](int a, int b) {return cost[a] < cost[b];});
      chosen.push_back(best);
      size_t kept = 0;
      for (int other : left) {  // no branch hangs on how far it is
        double sum = 0.0;
        for (int i = 0; i < D; i++) {sum += square(places_[best * D + i] - places_[other * D + i]);}
        left[kept] = other;
        kept += std::sqrt(sum) > s_.apart;
      }
      left.resize(kept);
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
    const size_t levels = D == 2 ? 1 : s_.levels.size(), count = last.size();
    const size_t pairs = count * (count - 1) / 2;
    places_.reserve(2 * levels * pairs * D + D);
    places_.resize(2 * levels * pairs * D);
    Numbers radius(count);
    double * one = places_.data(), * other = one + pairs * D;  // on either side of the line between
    for (size_t l = 0; l < levels; l++, one = other, other += pairs * D) {
      const double height = w_.height + (D == 2 ? 0.0 : s_.levels[l]);
      for (size_t i = 0; i < count; i++) {
        const double above = height - w_.places[w_.anchor[last[i]] * SPACE + 2];
        radius[i] = std::sqrt(std::max(square(w_.value[last[i]]) - square(above), 0.01));
      }
      for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++, one += D, other += D) {
          cross(last[i], radius[i], last[j], radius[j], one, other);
          if (D == SPACE) {one[D - 1] = other[D - 1] = height;}
        }
      }
    }
  }

  // Where circles of radius a and b around the anchors of two ranges meet.
  void cross(int first, double a, int second, double b, double * one, double * other) const
  {
    const double * p = w_.places + w_.anchor[first] * SPACE;
    const double * q = w_.places + w_.anchor[second] * SPACE;
    const double length = std::max(std::sqrt(square(q[0] - p[0]) + square(q[1] - p[1])), 1e-6);
    const double ux = (q[0] - p[0]) / length, uy = (q[1] - p[1]) / length;
    double x = (a * a - b * b + length * length) / (2.0 * length);
    x = std::min(std::max(x, -a), a);
    const double y = std::sqrt(std::max(a * a - x * x, 0.0));
    one[0] = p[0] + ux * x - uy * y;
    one[1] = p[1] + uy * x + ux * y;
    other[0] = p[0] + ux * x + uy * y;
    other[1] = p[1] + uy * x - ux * y;
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
        Vector way[SPACE];
        const Vector distance = away(range, state, state + D, way);
        const double wide = factor * range.scale, twice = 2.0 * range.weight;
        const Vector left = range.value - distance - state[n - 1];
        const Vector spread = wide * wide + left * left, share = 1.0 / (spread * distance);
        const Vector near = share * spread, pull = twice * (share * distance), push = pull * left;
        Vector to[D + 1];  // a metre of the place, and of the offset
        for (int i = 0; i < D; i++) {to[i] = near * way[i];}
        to[D] = Vector{} + 1.0;
        for (int i = 0; i <= D; i++) {
          const Vector scaled = i < D ? to[i] * pull : pull;
          const Vector pushed = i < D ? to[i] * push : push;
          const int place = i < D ? i : n - 1;
          slope[place][0] += pushed;
          if (i < D) {slope[D + i][0] += range.age * pushed;}
          for (int j = i; j <= D; j++) {
            const Vector both = j < D ? scaled * to[j] : scaled, later = range.age * both;
            hessian[place][j < D ? j : n - 1] += both;
            if (j < D) {
              hessian[i][D + j] += later;
              hessian[D + i][D + j] += range.age * later;
            } else if (i < D) {
              hessian[D + i][n - 1] += later;
            }
          }
        }
      }
      for (int i = 0; i < D; i++) {
        for (int j = 0; j < i; j++) {hessian[i][D + j] = hessian[j][D + i];}
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
      solve_general(hessian, slope);
      for (int i = 0; i < n; i++) {state[i] += slope[i][0];}
    }
    look(state, state + D, state[n - 1]);
    Vector speed = {};
    for (int i = 0; i < D; i++) {speed += state[D + i] * state[D + i];}
    cost = cost_at(residual_, narrow_.data(), votes_.runs, Vector{}) +
      log_of_one_and_square(state[n - 1] / s_.offset) + 0.5 * calm_ * speed;
    if (D == SPACE) {cost += 0.5 * level * (state[2] - w_.height) * (state[2] - w_.height);}
    Vector inverse[n][D] = {};
    for (int i = 0; i < D; i++) {inverse[i][i] = Vector{} + 1.0;}
    solve_general(kept, inverse);
    Vector finite = 0.0 * cost;  // 0, or NaN where something is no number
    for (int i = 0; i < n; i++) {finite += 0.0 * state[i];}
    for (int i = 0; i < D; i++) {
      for (int j = 0; j < D; j++) {
        covariance[i * D + j] = 0.5 * (inverse[i][j] + inverse[j][i]);
        finite += 0.0 * covariance[i * D + j];
      }
    }
    return total(finite) == 0.0;
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
