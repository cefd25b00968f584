// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// The places that explain a window of ranges: candidates and polish of integrity/snapshot.py.

#ifndef LOCDREAMER_ROS__SNAPSHOT_HPP_
#define LOCDREAMER_ROS__SNAPSHOT_HPP_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "arithmetic.hpp"

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

// log(1 + (r / s)^2)
inline double rho(double residual, double scale) {return std::log1p(square(residual / scale));}

// Sum of weights times rho(residual - shift).
INLINE double cost_at(
  const double * residual, const double * weight, const double * scale, int count, double shift)
{
  Four sum = {0.0, 0.0, 0.0, 0.0};
  int i = 0;
  for (; i + 4 <= count; i += 4) {
    const Four off = (load(residual + i) - shift) / load(scale + i);
    sum += load(weight + i) * log_of_one_and_square(off);
  }
  double rest = 0.0;
  for (; i < count; i++) {rest += weight[i] * rho(residual[i] - shift, scale[i]);}
  return (sum[0] + sum[1]) + (sum[2] + sum[3]) + rest;
}

// Values and their weights, values increasing. Few are placed by counting who is less: without
// branches, that takes a fraction of a sort.
INLINE void sort_weighted(
  const double * value, const double * weight, int count,
  std::vector<std::pair<double, double>> & sorted)
{
  constexpr int FEW = 128;
  sorted.resize(count);
  if (count > FEW) {
    for (int i = 0; i < count; i++) {sorted[i] = {value[i], weight[i]};}
    std::sort(
      sorted.begin(), sorted.end(),
      [](const auto & a, const auto & b) {return a.first < b.first;});
    return;
  }
  double each[FEW + 4];
  unsigned char alike[FEW] = {};  // how many of this place there were
  std::copy(value, value + count, each);
  std::fill_n(each + count, 4, HUGE_VAL);
  for (int i = 0; i < count; i++) {
    const Four here = {value[i], value[i], value[i], value[i]};
    FourBits less = {0, 0, 0, 0};
    for (int j = 0; j < count; j += 4) {less -= load(each + j) < here;}
    const int place = static_cast<int>((less[0] + less[1]) + (less[2] + less[3]));
    sorted[place + alike[place]++] = {value[i], weight[i]};
  }
}

// Least cost of residuals over no common offset or their weighted median, and which it was.
inline double least_cost(
  const double * residual, const double * weight, const double * scale, int count,
  double offset_scale, double & offset)
{
  static std::vector<std::pair<double, double>> sorted;
  double whole = 0.0, sum = 0.0;
  run_alike([&] {sort_weighted(residual, weight, count, sorted);});
  for (const auto & each : sorted) {whole += each.second;}
  int middle = 0;
  while (middle < count - 1 && (sum += sorted[middle].second) < 0.5 * whole) {middle++;}
  const double median = sorted[middle].first;
  const auto cost = [&](double shift) {
      return run_alike([&] {return cost_at(residual, weight, scale, count, shift);});
    };
  const double plain = cost(0.0), moved = cost(median) + rho(median, offset_scale);
  offset = moved < plain ? median : 0.0;
  return moved < plain ? moved : plain;
}

// Solve a (n, n) x = b with partial pivoting, all in place; false: singular.
inline bool solve_general(double * a, int n, double * b, int columns)
{
  for (int i = 0; i < n; i++) {
    int pivot = i;
    for (int k = i + 1; k < n; k++) {
      if (std::fabs(a[k * n + i]) > std::fabs(a[pivot * n + i])) {pivot = k;}
    }
    if (!(std::fabs(a[pivot * n + i]) > 0.0)) {return false;}
    if (pivot != i) {
      std::swap_ranges(a + i * n, a + (i + 1) * n, a + pivot * n);
      std::swap_ranges(b + i * columns, b + (i + 1) * columns, b + pivot * columns);
    }
    for (int k = i + 1; k < n; k++) {
      const double factor = a[k * n + i] / a[i * n + i];
      for (int j = i; j < n; j++) {a[k * n + j] -= factor * a[i * n + j];}
      for (int j = 0; j < columns; j++) {b[k * columns + j] -= factor * b[i * columns + j];}
    }
  }
  for (int i = n - 1; i >= 0; i--) {
    for (int j = 0; j < columns; j++) {
      double left = b[i * columns + j];
      for (int k = i + 1; k < n; k++) {left -= a[i * n + k] * b[k * columns + j];}
      b[i * columns + j] = left / a[i * n + i];
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
    calm_(still ? 1e6 : 1.0 / square(scales.speed)), scale_(window.count), wide_(window.count),
    residual_(window.count), pull_(window.count)
  {
    for (int i = 0; i < SPACE; i++) {
      place_[i].resize(w_.count);
      direction_[i].resize(w_.count);
      for (int n = 0; n < w_.count; n++) {
        place_[i][n] = w_.places[w_.anchor[n] * SPACE + i];
      }
    }
    for (int n = 0; n < w_.count; n++) {scale_[n] = s_.scale + s_.scale_age * square(w_.age[n]);}
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
    Numbers cost(many), offset(many);
    for (int n = 0; n < w_.count; n++) {wide_[n] = 3.0 * scale_[n];}
    for (int m = 0; m < many; m++) {
      const double * at = &places_[static_cast<size_t>(m) * D];
      if (!finite(at, D)) {return -1;}
      const double still[SPACE] = {};
      run_alike([&] {look(at, still);});
      if (shared_) {
        cost[m] = least_cost(
          residual_.data(), w_.weight, wide_.data(), w_.count, s_.offset, offset[m]);
      } else {
        cost[m] = run_alike(
          [&] {return cost_at(residual_.data(), w_.weight, wide_.data(), w_.count, 0.0);});
      }
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
    for (size_t c = 0; c < chosen.size(); c++) {
      double * state = states + c * SIZE;
      std::fill_n(state, SIZE, 0.0);
      std::copy_n(&places_[static_cast<size_t>(chosen[c]) * D], D, state);
      state[SIZE - 1] = offset[chosen[c]];
      if (!run_alike([&] {return settle(state, costs[c], covariances + c * D * D);})) {return -1;}
      std::copy(residual_.begin(), residual_.end(), residuals + c * w_.count);
    }
    return static_cast<int>(chosen.size());
  }

private:
  void meet()
  {
    // Each anchor's last range, those of the shortest first.
    std::vector<int> last;
    std::vector<int64_t> order(w_.count);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(
      order.begin(), order.end(), [&](int64_t a, int64_t b) {
        return w_.anchor[a] != w_.anchor[b] ? w_.anchor[a] < w_.anchor[b] : w_.age[a] > w_.age[b];
      });
    for (int i = 0; i < w_.count; i++) {
      if (i == 0 || w_.anchor[order[i]] != w_.anchor[order[i - 1]]) {
        last.push_back(static_cast<int>(order[i]));
      }
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

  // Residuals before any offset, and directions, where the tag is at each range's own stamp. A loop
  // over ranges for each step of it: of four ranges at once, where the processor can.
  void look(const double * position, const double * velocity)
  {
    const int count = w_.count;
    const double * age = w_.age, * value = w_.value, height = w_.height, floor = floor_;
    double * distance = pull_.data(), * residual = residual_.data();
    for (int i = 0; i < SPACE; i++) {
      const double * place = place_[i].data();
      double * delta = direction_[i].data();
      const double at = i < D ? position[i] : height, speed = i < D ? velocity[i] : 0.0;
      for (int n = 0; n < count; n++) {delta[n] = at + age[n] * speed - place[n];}
    }
    const double * x = direction_[0].data(), * y = direction_[1].data(),
      * z = direction_[2].data();
    for (int n = 0; n < count; n++) {
      const double length = std::sqrt(square(x[n]) + square(y[n]) + square(z[n]));
      distance[n] = length > floor ? length : floor;
      residual[n] = value[n] - distance[n];
    }
  }

  // Gauss-Newton from a state to where it ends, its cost and the covariance of its position.
  bool settle(double * state, double & cost, double * covariance)
  {
    constexpr int n = SIZE;
    const int d = D, count = w_.count;
    const double level = D == SPACE ? 1.0 / square(s_.height) : 0.0;
    double hessian[n * n], slope[n], kept[n * n] = {};
    double * distance = pull_.data(), * pull = pull_.data();
    for (double factor : s_.steps) {
      look(state, state + D);
      for (int i = 0; i < D; i++) {
        double * along = direction_[i].data();
        for (int k = 0; k < count; k++) {along[k] /= distance[k];}
      }
      const double offset = state[n - 1], * weight = w_.weight, * scale = scale_.data();
      double * residual = residual_.data();
      for (int k = 0; k < count; k++) {
        const double wide = factor * scale[k];
        residual[k] -= offset;
        pull[k] = 2.0 * weight[k] / (1.0 + square(residual[k] / wide)) / square(wide);
      }
      // Of all but the offset four columns at once; the offset's gradient is 1.
      constexpr int moves = 2 * D, wide = (moves + 3) / 4;
      Four columns[moves][wide] = {}, last[wide] = {}, along[wide] = {};
      double corner = 0.0, end = 0.0;
      for (int k = 0; k < count; k++) {
        double gradient[4 * wide] = {};
        for (int i = 0; i < D; i++) {
          gradient[i] = direction_[i][k];
          gradient[D + i] = w_.age[k] * gradient[i];
        }
        for (int i = 0; i < moves; i++) {
          const double scaled = gradient[i] * pull[k];
          for (int w = 0; w < wide; w++) {columns[i][w] += scaled * load(gradient + 4 * w);}
        }
        for (int w = 0; w < wide; w++) {
          const Four scaled = load(gradient + 4 * w) * pull[k];
          last[w] += scaled;
          along[w] += scaled * residual[k];
        }
        corner += pull[k];
        end += pull[k] * residual[k];
      }
      for (int i = 0; i < moves; i++) {
        for (int j = i; j < moves; j++) {hessian[i * n + j] = columns[i][j / 4][j % 4];}
        hessian[i * n + n - 1] = last[i / 4][i % 4];
        slope[i] = along[i / 4][i % 4];
      }
      hessian[n * n - 1] = corner;
      slope[n - 1] = end;
      for (int i = 0; i < n; i++) {
        for (int j = 0; j < i; j++) {hessian[i * n + j] = hessian[j * n + i];}
      }
      const double tie = shared_ ?
        2.0 / (1.0 + square(state[n - 1] / s_.offset)) / square(s_.offset) : 1e9;
      for (int i = 0; i < d; i++) {
        hessian[(d + i) * (n + 1)] += calm_;
        hessian[i * (n + 1)] += 1e-4;
        slope[d + i] -= calm_ * state[d + i];
      }
      hessian[(n - 1) * (n + 1)] += tie;
      slope[n - 1] -= tie * state[n - 1];
      if (d == SPACE) {
        hessian[2 * (n + 1)] += level;
        slope[2] -= level * (state[2] - w_.height);
      }
      std::copy(hessian, hessian + n * n, kept);
      if (!solve_general(hessian, n, slope, 1)) {return false;}
      for (int i = 0; i < n; i++) {state[i] += slope[i];}
      if (!finite(state, n)) {return false;}
    }
    look(state, state + D);
    for (int k = 0; k < count; k++) {residual_[k] -= state[n - 1];}
    cost = cost_at(residual_.data(), w_.weight, scale_.data(), w_.count, 0.0);
    cost += rho(state[n - 1], s_.offset);
    double speed = 0.0;
    for (int i = 0; i < d; i++) {speed += square(state[d + i]);}
    cost += 0.5 * calm_ * speed;
    if (d == SPACE) {cost += 0.5 * level * square(state[2] - w_.height);}
    double inverse[n * n] = {};
    for (int i = 0; i < n; i++) {inverse[i * (n + 1)] = 1.0;}
    if (!solve_general(kept, n, inverse, n)) {return false;}
    for (int i = 0; i < d; i++) {
      for (int j = 0; j < d; j++) {
        covariance[i * d + j] = 0.5 * (inverse[i * n + j] + inverse[j * n + i]);
      }
    }
    return std::isfinite(cost) && finite(covariance, d * d);
  }

  const Window & w_;
  const Scales & s_;
  const bool shared_;
  const double floor_, calm_;
  Numbers scale_, wide_, residual_, pull_, places_, place_[SPACE], direction_[SPACE];
};

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__SNAPSHOT_HPP_
