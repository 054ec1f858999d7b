#pragma once

#include <stdexcept>
#include <utility>

#include "pepeunit/schema/schema.h"

// What the units of the bench have for variables.
namespace pepeunit::bench {

inline constexpr char kSchema[] = R"({
  "input_variables": {
    "wanted": {"type": "number", "minimum": 0, "maximum": 100},
    "boost": {"type": "number"}, "limit": {"type": "number"}, "offset": {"type": "number"}
  },
  "output_variables": {
    "temperature": {"type": "number", "unit": "°C"}, "humidity": {"type": "number", "unit": "%"},
    "power": {"type": "number", "unit": "W"}, "voltage": {"type": "number", "unit": "V"},
    "current": {"type": "number", "unit": "A"}, "load": {"type": "number"}
  }
})";
// The next version: one is gone, one is new, one has another type, one other bounds.
inline constexpr char kNextSchema[] = R"({
  "input_variables": {
    "wanted": {"type": "number", "minimum": 5, "maximum": 30},
    "boost": {"type": "number"}, "limit": {"type": "number"}, "mode": {"type": "string"}
  },
  "output_variables": {
    "temperature": {"type": "number", "unit": "°C"}, "humidity": {"type": "number", "unit": "%"},
    "power": {"type": "number", "unit": "W"}, "voltage": {"type": "number", "unit": "V"},
    "current": {"type": "number", "unit": "A"}, "load": {"type": "string"}
  }
})";

inline schema::Schema SchemaOf(const char* text) {
  schema::SchemaResult parsed = schema::ParseSchema(text);
  if (!parsed.ok()) throw std::logic_error("the bench's schema is wrong");
  return std::move(parsed.schema);
}

}  // namespace pepeunit::bench
