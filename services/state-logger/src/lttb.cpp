#include "lttb.h"

#include <cmath>

namespace pepeunit::state_logger {

std::vector<PlotPoint> LargestTriangles(const std::vector<PlotPoint>& points, std::size_t count) {
  if (points.size() <= count || count < 3) return points;
  // Between the first and the last point lie `count` - 2 buckets of about as many points each.
  const double width = static_cast<double>(points.size() - 2) / static_cast<double>(count - 2);
  const auto begin_of = [&](std::size_t bucket) {
    return 1 + static_cast<std::size_t>(static_cast<double>(bucket) * width);
  };
  std::vector<PlotPoint> chosen{points.front()};
  chosen.reserve(count);
  for (std::size_t bucket = 0; bucket + 2 < count; ++bucket) {
    const bool last = bucket + 3 == count;
    const std::size_t begin = begin_of(bucket), end = last ? points.size() - 1 : begin_of(bucket + 1);
    const std::size_t next_end = last ? points.size() : bucket + 4 == count ? points.size() - 1 : begin_of(bucket + 2);
    // Relative to the point before, so that microseconds since 1970 keep their precision.
    const PlotPoint& before = chosen.back();
    double x = 0, y = 0;
    for (std::size_t i = end; i < next_end; ++i) {
      x += static_cast<double>(points[i].time_us - before.time_us);
      y += points[i].value - before.value;
    }
    const auto following = static_cast<double>(next_end - end);
    x /= following, y /= following;
    double largest = -1;
    std::size_t best = begin;
    for (std::size_t i = begin; i < end; ++i) {
      const double area =
          std::fabs(static_cast<double>(points[i].time_us - before.time_us) * y - (points[i].value - before.value) * x);
      if (area > largest) largest = area, best = i;
    }
    chosen.push_back(points[best]);
  }
  chosen.push_back(points.back());
  return chosen;
}

}  // namespace pepeunit::state_logger
