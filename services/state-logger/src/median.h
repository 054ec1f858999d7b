#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pepeunit::state_logger {

// The median of a window's readings: exact up to kExact of them. Beyond that a DDSketch (C. Masson, J. Rim, H. Lee,
// "DDSketch", VLDB 2019): counts of logarithmic buckets, from which each of the two middle values is known within
// kAccuracy of itself. Of values more than some nine orders of magnitude below the greatest, only that they are small.
class Median {
 public:
  static constexpr std::size_t kExact = 256, kMostBuckets = 2'048;
  static constexpr double kAccuracy = 0.005;

  void Add(double value);
  // Of an even count the mean of the two in the middle. 0 without values.
  double Get() const;

  // At most some 32 KiB.
  std::string Serialize() const;
  static Median Parse(std::string_view bytes);

 private:
  void Count(double value, std::uint64_t times);
  double AtRank(std::uint64_t rank) const;  // from 0
  std::uint64_t count() const;

  std::vector<double> values_;                           // while there are few
  std::map<std::int32_t, std::uint64_t> above_, below_;  // by bucket of the magnitude: of positive, of negative values
  std::uint64_t zeros_ = 0;
};

}  // namespace pepeunit::state_logger
