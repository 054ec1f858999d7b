#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "pepeunit/schema/schema.h"

namespace pepeunit::schema {

// A JSON object from a file of a repository, with the line of each of its keys.
struct Document {
  nlohmann::ordered_json json;
  std::map<std::string, unsigned> lines;  // `output_variables.temperature.type` -> line, from 1
  std::vector<Problem> problems;          // of the syntax: when there are any, `json` is empty

  unsigned LineOf(const std::string& field) const;
};

// Reads at most `max_bytes`, 16 levels, no key twice, UTF-8 only; the top must be an object.
Document ReadDocument(const std::string& file, std::string_view text, std::size_t max_bytes);

}  // namespace pepeunit::schema
