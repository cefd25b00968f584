// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// The ranges of the last seconds, and a track held against them: integrity/window.py, track.py.

#ifndef LOCDREAMER_ROS__WINDOW_HPP_
#define LOCDREAMER_ROS__WINDOW_HPP_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "snapshot.hpp"

namespace locdreamer_ros
{

// A row of a window's table.
struct Range
{
  double stamp, anchor, value;
  bool operator<(const Range & other) const
  {
    return std::tie(stamp, anchor, value) < std::tie(other.stamp, other.anchor, other.value);
  }
};

// The constants of integrity/window.py.
struct Spans
{
  double recent, longest, oldest;
  int each, most_anchors;
};

// Forget of rows what does not belong to the window at `now`; how many are left, in their order.
inline int prune(Range * rows, int count, double now, const Spans & spans, std::vector<int> & seen)
{
  if (!std::is_sorted(rows, rows + count)) {std::sort(rows, rows + count);}
  int kept = count;  // what is kept moves to the end, then to the beginning
  for (int i = count - 1; i >= 0; i--) {
    const double age = now - rows[i].stamp;
    int & many = seen[static_cast<size_t>(rows[i].anchor)];
    if (age <= spans.recent ||
      (age <= spans.longest ? many < spans.each : age <= spans.oldest && many == 0))
    {
      many++;
      rows[--kept] = rows[i];
    }
  }
  std::copy(rows + kept, rows + count, rows);
  return count - kept;
}

// Those of the anchors with the shortest ranges; seen (A,): how many ranges each anchor has.
inline std::vector<Range> nearest(
  const Range * rows, int count, int most_anchors, std::vector<int> & seen)
{
  std::vector<int> heard;
  std::vector<double> shortest(seen.size(), HUGE_VAL);
  for (int i = 0; i < count; i++) {
    const size_t anchor = static_cast<size_t>(rows[i].anchor);
    if (shortest[anchor] == HUGE_VAL) {heard.push_back(static_cast<int>(anchor));}
    shortest[anchor] = std::min(shortest[anchor], rows[i].value);
  }
  std::stable_sort(
    heard.begin(), heard.end(), [&](int a, int b) {return shortest[a] < shortest[b];});
  for (size_t i = most_anchors; i < heard.size(); i++) {seen[heard[i]] = 0;}
  std::vector<Range> found;
  for (int i = 0; i < count; i++) {
    if (seen[static_cast<size_t>(rows[i].anchor)] > 0) {found.push_back(rows[i]);}
  }
  return found;
}

// Where a track (count, 1 + axes) of times and places was at a time, as numpy.interp has it; low: the
// first row that is later, or one before it.
inline void track_at(
  const double * track, int count, int axes, double time, int & low, double * at)
{
  const int width = 1 + axes;
  while (low < count && track[low * width] <= time) {low++;}
  const double * before = track + std::max(low - 1, 0) * width;
  for (int i = 1; i <= axes; i++) {
    at[i - 1] = before[i];
    if (low > 0 && low < count) {
      at[i - 1] = (before[width + i] - before[i]) / (before[width] - before[0]) *
        (time - before[0]) + before[i];
    }
  }
}

using ByAnchor = std::vector<std::pair<int64_t, double>>;

// The median of values, which are put in order.
inline double median_of(double * values, int count)
{
  std::sort(values, values + count);
  const int middle = count / 2;
  return count % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2.0;
}

// The median of each anchor's values, anchors increasing.
inline ByAnchor medians(ByAnchor sorted)
{
  std::sort(sorted.begin(), sorted.end());
  ByAnchor found;
  Numbers values;
  for (size_t begin = 0, end; begin < sorted.size(); begin = end) {
    values.clear();
    for (end = begin; end < sorted.size() && sorted[end].first == sorted[begin].first; end++) {
      values.push_back(sorted[end].second);
    }
    found.emplace_back(
      sorted[begin].first, median_of(values.data(), static_cast<int>(values.size())));
  }
  return found;
}

// Of anchors that have so many values, beside each other up to `end`, the medians.
template<class Vector>
INLINE void medians_in(
  const double * values, const std::vector<int> & seen, const std::vector<int> & end,
  ByAnchor & found)
{
  constexpr int lanes = LANES<Vector>;
  static Blocks kept;
  size_t here[lanes];
  for (size_t anchor = 0; anchor < seen.size();) {
    int many = 0, most = 0;  // anchors, and ranges of one
    for (; anchor < seen.size() && many < lanes; anchor++) {
      if (seen[anchor]) {
        here[many++] = anchor;
        most = std::max(most, seen[anchor]);
      }
    }
    const int rows = (most + BLOCK - 1) / BLOCK * BLOCK;
    double * const sorted = room(kept, lanes * rows);
    std::fill_n(sorted, lanes * rows, HUGE_VAL);
    for (int lane = 0; lane < many; lane++) {
      const double * from = values + end[here[lane]] - seen[here[lane]];
      for (int i = 0; i < seen[here[lane]]; i++) {sorted[lanes * i + lane] = from[i];}
    }
    sort_lanes<Vector>(sorted, most);
    for (int lane = 0; lane < many; lane++) {
      const int count = seen[here[lane]];
      const double * middle = sorted + lanes * (count / 2) + lane;
      found.emplace_back(here[lane], count % 2 ? *middle : (*(middle - lanes) + *middle) / 2.0);
    }
  }
}

// What a track makes of a window, see integrity/track.py: of which rows, how many each anchor has.
struct Held
{
  double cost = 0.0, offset = 0.0;
  int anchors = 0;
  ByAnchor fit;
  std::vector<Range> rows;
  std::vector<int> seen;
};

// Hold a track against ranges; named (A,): whose ranges do not count in the cost.
inline Held hold(
  const std::vector<Range> & rows, const std::vector<int> & seen, const std::vector<char> & named,
  const double * track, int tracked, int axes, const double * places, double height, double floor,
  double now, const double * scales)
{
  static Numbers residual, scale, narrow, trusted;
  static Votes votes;
  static std::vector<int> end;  // of each anchor's ranges, once they are put beside each other
  end.resize(seen.size());
  std::exclusive_scan(seen.begin(), seen.end(), end.begin(), 0);
  residual.resize(rows.size());
  scale.resize(rows.size());
  int later = 0;  // ranges come in the order of their stamps
  for (const Range & range : rows) {
    const size_t anchor = static_cast<size_t>(range.anchor);
    const double age = range.stamp - now;
    double at[SPACE] = {0.0, 0.0, height}, unused[SPACE];
    track_at(track, tracked, axes, now + age, later, at);
    for (int j = 0; j < SPACE; j++) {at[j] -= places[anchor * SPACE + j];}
    const int to = end[anchor]++;
    residual[to] = range.value - slant(at, floor, unused);
    scale[to] = scales[0] + scales[1] * square(age);
  }
  Held found;
  trusted.clear();
  narrow.clear();
  votes.clear();
  for (size_t anchor = 0; anchor < seen.size(); anchor++) {
    if (seen[anchor] == 0 || named[anchor]) {continue;}
    for (int i = end[anchor] - seen[anchor]; i < end[anchor]; i++) {
      trusted.push_back(residual[i]);
      narrow.push_back(1.0 / scale[i]);
    }
    votes.add(seen[anchor], 1.0 / seen[anchor]);
    found.anchors++;
  }
  if (found.anchors == 0) {return found;}
  votes.close();
  const auto weighed = [&](auto medians) {
      found.cost = least_cost_of_one(
        trusted.data(), narrow.data(), votes, scales[2], found.offset);
      for (double & each : residual) {each -= found.offset;}
      medians(residual.data(), seen, end, found.fit);
    };
  if (EIGHTS_ALIKE) {
    run_alike_in_eights([&] {weighed([](auto && ... of) {medians_in<Eight>(of ...);});});
  } else {
    run_alike([&] {weighed([](auto && ... of) {medians_in<Four>(of ...);});});
  }
  return found;
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__WINDOW_HPP_
