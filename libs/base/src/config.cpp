#include "pepeunit/base/config.h"

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace pepeunit {
namespace {

// concurrency-mt-unsafe: nobody changes the environment; it is read once, at start.
std::optional<std::string> FromEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe)
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

std::optional<std::int64_t> ParseInteger(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::chrono::milliseconds> ParseDuration(const std::string& text) {
  struct Suffix {
    std::string_view name;
    std::int64_t ms;
  };
  constexpr Suffix kSuffixes[] = {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  for (const auto& suffix : kSuffixes) {
    if (!text.ends_with(suffix.name)) continue;
    const auto count = ParseInteger(std::string_view(text).substr(0, text.size() - suffix.name.size()));
    if (!count) continue;  // `5ms` also ends with `s`
    if (*count < 0 || *count > 4'000'000'000'000 / suffix.ms) return std::nullopt;
    return std::chrono::milliseconds(*count * suffix.ms);
  }
  return std::nullopt;
}

std::string DurationText(std::chrono::milliseconds value) {
  const std::int64_t ms = value.count();
  if (ms == 0) return "0s";
  if (ms % 86'400'000 == 0) return std::to_string(ms / 86'400'000) + "d";
  if (ms % 3'600'000 == 0) return std::to_string(ms / 3'600'000) + "h";
  if (ms % 60'000 == 0) return std::to_string(ms / 60'000) + "m";
  if (ms % 1'000 == 0) return std::to_string(ms / 1'000) + "s";
  return std::to_string(ms) + "ms";
}

}  // namespace

Config::Config(std::string service, Lookup lookup)
    : service_(std::move(service)), lookup_(lookup ? std::move(lookup) : FromEnvironment) {}

std::optional<std::string> Config::Get(const std::string& name) { return lookup_(name); }

std::string Config::String(const std::string& name, const std::string& fallback, const std::string& help) {
  entries_.push_back({name, fallback, help});
  return Get(name).value_or(fallback);
}

std::string Config::Required(const std::string& name, const std::string& help) {
  entries_.push_back({name, "required", help});
  const auto value = Get(name);
  if (!value) problems_.push_back(name + " is not set: " + help);
  return value.value_or("");
}

std::int64_t Config::Integer(const std::string& name, std::int64_t fallback, std::int64_t min, std::int64_t max,
                             const std::string& help) {
  entries_.push_back({name, std::to_string(fallback), help});
  const auto text = Get(name);
  if (!text) return fallback;
  const auto value = ParseInteger(*text);
  if (!value || *value < min || *value > max) {
    problems_.push_back(name + " must be a whole number from " + std::to_string(min) + " to " + std::to_string(max) +
                        ", not '" + *text + "'");
    return fallback;
  }
  return *value;
}

std::uint16_t Config::Port(const std::string& name, std::uint16_t fallback, const std::string& help) {
  return static_cast<std::uint16_t>(Integer(name, fallback, 0, 65535, help));
}

bool Config::Boolean(const std::string& name, bool fallback, const std::string& help) {
  entries_.push_back({name, fallback ? "true" : "false", help});
  const auto text = Get(name);
  if (!text) return fallback;
  if (*text == "true" || *text == "1" || *text == "yes" || *text == "on") return true;
  if (*text == "false" || *text == "0" || *text == "no" || *text == "off") return false;
  problems_.push_back(name + " must be true or false, not '" + *text + "'");
  return fallback;
}

std::chrono::milliseconds Config::Duration(const std::string& name, std::chrono::milliseconds fallback,
                                           const std::string& help) {
  entries_.push_back({name, DurationText(fallback), help});
  const auto text = Get(name);
  if (!text) return fallback;
  const auto value = ParseDuration(*text);
  if (!value) {
    problems_.push_back(name + " must be a duration such as 500ms, 30s, 5m, 2h or 7d, not '" + *text + "'");
    return fallback;
  }
  return *value;
}

std::string Config::Secret(const std::string& name, const std::string& help, bool optional) {
  entries_.push_back(
      {name, optional ? "none" : "required", help + " (a secret: `" + name + "_FILE` may name a file that holds it)"});
  if (const auto value = Get(name)) return *value;
  const auto path = Get(name + "_FILE");
  if (!path) {
    if (!optional) problems_.push_back("neither " + name + " nor " + name + "_FILE is set: " + help);
    return "";
  }
  std::ifstream file(*path);
  if (!file) {
    problems_.push_back(name + "_FILE: cannot read '" + *path + "'");
    return "";
  }
  std::ostringstream content;
  content << file.rdbuf();
  std::string value = content.str();
  while (!value.empty() && (value.back() == '\n' || value.back() == '\r')) value.pop_back();
  if (value.empty()) problems_.push_back(name + "_FILE: '" + *path + "' is empty");
  return value;
}

absl::Status Config::Finish() const {
  if (problems_.empty()) return absl::OkStatus();
  std::string message = service_ + " cannot start with this configuration:";
  for (const auto& problem : problems_) message += "\n  " + problem;
  return absl::InvalidArgumentError(message);
}

std::string Config::HelpTable() const {
  std::string table = "| variable | default | meaning |\n| --- | --- | --- |\n";
  for (const auto& entry : entries_) {
    table += "| `" + entry.name + "` | " + (entry.fallback.empty() ? "" : "`" + entry.fallback + "`") + " | " +
             entry.help + " |\n";
  }
  return table;
}

}  // namespace pepeunit
