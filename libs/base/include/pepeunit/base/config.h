#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace pepeunit {

// Reads a service's configuration from the environment. Every call names one variable with its help text; problems
// are collected, so that one start shows all of them. Not thread-safe: used once, at start.
//
//   Config config("unit-ingest");
//   auto port = config.Port("PEPEUNIT_INGEST_PORT", 8081, "HTTP port for devices");
//   if (absl::Status s = config.Finish(argc, argv); !s.ok()) ...
class Config {
 public:
  using Lookup = std::function<std::optional<std::string>(const std::string&)>;

  // `lookup` stands in for the environment in tests.
  explicit Config(std::string service, Lookup lookup = {});

  std::string String(const std::string& name, const std::string& fallback, const std::string& help);
  std::string Required(const std::string& name, const std::string& help);
  std::int64_t Integer(const std::string& name, std::int64_t fallback, std::int64_t min, std::int64_t max,
                       const std::string& help);
  std::uint16_t Port(const std::string& name, std::uint16_t fallback, const std::string& help);
  bool Boolean(const std::string& name, bool fallback, const std::string& help);  // true/false/1/0/yes/no/on/off
  // `500ms`, `30s`, `5m`, `2h`, `7d`.
  std::chrono::milliseconds Duration(const std::string& name, std::chrono::milliseconds fallback,
                                     const std::string& help);
  // NAME, or the content of the file that NAME_FILE names (without a final newline). Required unless `optional`.
  std::string Secret(const std::string& name, const std::string& help, bool optional = false);

  // All problems at once, naming each variable; never a secret's value.
  absl::Status Finish() const;
  // The table of variables with defaults and help, as `--help` prints it and the README shows it (Markdown).
  std::string HelpTable() const;

 private:
  struct Entry {
    std::string name, fallback, help;
  };
  std::optional<std::string> Get(const std::string& name);

  std::string service_;
  Lookup lookup_;
  std::vector<Entry> entries_;
  std::vector<std::string> problems_;
};

}  // namespace pepeunit
