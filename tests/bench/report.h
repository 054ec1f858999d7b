#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace pepeunit::bench {

// Of values in rising order: the one that the share `p` of them does not exceed; 0 of none.
double Percentile(const std::vector<float>& sorted, double p);

// What a run saw. One per connection; merged at the end.
struct Report {
  std::uint64_t accepted = 0;                                 // answered with 200
  std::uint64_t readings = 0;                                 // values inside the accepted reports
  std::map<int, std::uint64_t> refused;                       // HTTP status, or 0 for a broken connection
  std::uint64_t least_of_a_device = 0, most_of_a_device = 0;  // accepted
  std::vector<float> latencies_ms;                            // of the accepted ones
  double seconds = 0;
  double cpu_s = 0;                   // of this process
  std::int64_t last_accepted_ms = 0;  // Unix time of the last 200

  void Merge(const Report& other);
  std::string ToJson();  // sorts the latencies
};

}  // namespace pepeunit::bench
