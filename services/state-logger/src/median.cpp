#include "median.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace pepeunit::state_logger {
namespace {

// A bucket holds the magnitudes above kGamma^(i-1) and up to kGamma^i.
constexpr double kGamma = (1 + Median::kAccuracy) / (1 - Median::kAccuracy);

std::int32_t BucketOf(double magnitude) {
  return static_cast<std::int32_t>(std::ceil(std::log(magnitude) / std::log(kGamma)));
}

double ValueOf(std::int32_t bucket) { return 2 * std::pow(kGamma, bucket) / (kGamma + 1); }

std::uint64_t Total(const std::map<std::int32_t, std::uint64_t>& buckets) {
  std::uint64_t total = 0;
  for (const auto& [bucket, count] : buckets) total += count;
  return total;
}

// The smallest magnitudes become one bucket, so that the greatest stay as exact as they are.
void Collapse(std::map<std::int32_t, std::uint64_t>* buckets) {
  while (buckets->size() > Median::kMostBuckets) {
    const auto smallest = buckets->begin();
    std::next(smallest)->second += smallest->second;
    buckets->erase(smallest);
  }
}

}  // namespace

void Median::Add(double value) {
  const bool few = above_.empty() && below_.empty() && zeros_ == 0;
  if (few && values_.size() < kExact) {
    values_.push_back(value);
    return;
  }
  for (const double before : values_) Count(before, 1);
  values_.clear();
  Count(value, 1);
}

void Median::Count(double value, std::uint64_t times) {
  if (value == 0) {
    zeros_ += times;
    return;
  }
  auto& buckets = value > 0 ? above_ : below_;
  buckets[BucketOf(std::fabs(value))] += times;
  Collapse(&buckets);
}

std::uint64_t Median::count() const { return values_.size() + zeros_ + Total(above_) + Total(below_); }

double Median::Get() const {
  const std::uint64_t all = count();
  if (all == 0) return 0;
  const double low = AtRank((all - 1) / 2), high = AtRank(all / 2);
  return low + (high - low) / 2;
}

double Median::AtRank(std::uint64_t rank) const {
  if (!values_.empty()) {
    std::vector<double> sorted = values_;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(rank), sorted.end());
    return sorted[rank];
  }
  for (auto it = below_.rbegin(); it != below_.rend(); ++it) {
    if (rank < it->second) return -ValueOf(it->first);
    rank -= it->second;
  }
  if (rank < zeros_) return 0;
  rank -= zeros_;
  for (const auto& [bucket, count] : above_) {
    if (rank < count) return ValueOf(bucket);
    rank -= count;
  }
  return 0;
}

// Doubles in the order of this machine, for its own database only: how many values, they, how many zeros, how many
// buckets of positive values, and of each its number and count, positive and negative.
std::string Median::Serialize() const {
  std::vector<double> numbers{static_cast<double>(values_.size())};
  numbers.insert(numbers.end(), values_.begin(), values_.end());
  numbers.push_back(static_cast<double>(zeros_));
  numbers.push_back(static_cast<double>(above_.size()));
  for (const auto* buckets : {&above_, &below_}) {
    for (const auto& [bucket, times] : *buckets) {
      numbers.push_back(bucket);
      numbers.push_back(static_cast<double>(times));
    }
  }
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double)};
}

Median Median::Parse(std::string_view bytes) {
  std::vector<double> numbers(bytes.size() / sizeof(double));
  std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(double));
  Median median;
  std::size_t at = 0;
  const auto next = [&] { return at < numbers.size() ? numbers[at++] : 0.0; };
  for (auto few = static_cast<std::size_t>(next()); few > 0 && at < numbers.size(); --few)
    median.values_.push_back(next());
  median.zeros_ = static_cast<std::uint64_t>(next());
  auto above = static_cast<std::size_t>(next());
  while (at + 1 < numbers.size()) {
    const auto bucket = static_cast<std::int32_t>(next());
    auto& buckets = above > 0 ? median.above_ : median.below_;
    if (above > 0) --above;
    buckets[bucket] = static_cast<std::uint64_t>(next());
  }
  return median;
}

}  // namespace pepeunit::state_logger
