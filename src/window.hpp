// Copyright 2026 The locdreamer_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// The ranges of the last seconds, and a track held against them: integrity/window.py, track.py.

#ifndef LOCDREAMER_ROS__WINDOW_HPP_
#define LOCDREAMER_ROS__WINDOW_HPP_

#include <algorithm>
#include <cmath>
#include <cstdint>
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

// Where a track (count, 1 + axes) of times and places was at a time, as numpy.interp has it.
inline void track_at(const double * track, int count, int axes, double time, double * at)
{
  const int width = 1 + axes;
  int low = 0, high = count;  // the first row that is later
  while (low < high) {
    const int middle = (low + high) / 2;
    if (track[middle * width] <= time) {low = middle + 1;} else {high = middle;}
  }
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

// The median of each anchor's values, anchors increasing.
inline ByAnchor medians(ByAnchor sorted)
{
  std::sort(sorted.begin(), sorted.end());
  ByAnchor found;
  for (size_t begin = 0, end; begin < sorted.size(); begin = end) {
    for (end = begin; end < sorted.size() && sorted[end].first == sorted[begin].first; end++) {}
    const size_t middle = (begin + end) / 2;
    const double median = (end - begin) % 2 ? sorted[middle].second :
      (sorted[middle - 1].second + sorted[middle].second) / 2.0;
    found.emplace_back(sorted[begin].first, median);
  }
  return found;
}

// What a track makes of a window: see integrity/track.py.
struct Held
{
  double cost = 0.0, offset = 0.0;
  int anchors = 0;
  ByAnchor fit;
};

// Hold a track against ranges; named (A,): whose ranges do not count in the cost.
inline Held hold(
  const std::vector<Range> & rows, const std::vector<int> & seen, const std::vector<char> & named,
  const double * track, int tracked, int axes, const double * places, double height, double floor,
  double now, const double * scales)
{
  const size_t count = rows.size();
  Numbers residual(count), weight, scale, trusted;
  std::vector<char> counted(seen.size(), 0);
  Held found;
  for (size_t i = 0; i < count; i++) {
    const size_t anchor = static_cast<size_t>(rows[i].anchor);
    const double age = rows[i].stamp - now;
    double at[SPACE] = {0.0, 0.0, height}, unused[SPACE];
    track_at(track, tracked, axes, now + age, at);
    for (int j = 0; j < SPACE; j++) {at[j] -= places[anchor * SPACE + j];}
    residual[i] = rows[i].value - slant(at, floor, unused);
    if (named[anchor]) {continue;}
    found.anchors += !counted[anchor];
    counted[anchor] = 1;
    weight.push_back(1.0 / seen[anchor]);
    scale.push_back(scales[0] + scales[1] * square(age));
    trusted.push_back(residual[i]);
  }
  if (found.anchors == 0) {return found;}
  found.cost = least_cost(
    trusted.data(), weight.data(), scale.data(), static_cast<int>(trusted.size()), scales[2],
    found.offset);
  ByAnchor off(count);
  for (size_t i = 0; i < count; i++) {
    off[i] = {static_cast<int64_t>(rows[i].anchor), residual[i] - found.offset};
  }
  found.fit = medians(std::move(off));
  return found;
}

}  // namespace locdreamer_ros

#endif  // LOCDREAMER_ROS__WINDOW_HPP_
