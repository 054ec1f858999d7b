#pragma once

#include <cstdint>
#include <vector>

namespace pepeunit::state_logger {

struct PlotPoint {
  std::int64_t time_us = 0;
  double value = 0;
  bool operator==(const PlotPoint&) const = default;
};

// At most `count` (3 or more) of the points, which are in the order of their times, so that a line through them looks
// like one through all: Largest Triangle Three Buckets (S. Steinarsson, "Downsampling Time Series for Visual
// Representation", University of Iceland, 2013, 4.2). The first and the last stay. Given the lowest and highest of many
// short stretches instead of all points it is MinMaxLTTB (J. Van Der Donckt et al., arXiv:2305.00332).
std::vector<PlotPoint> LargestTriangles(const std::vector<PlotPoint>& points, std::size_t count);

}  // namespace pepeunit::state_logger
