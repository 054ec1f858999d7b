#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "pepeunit/unit_client/guard.h"

namespace pepeunit::unit_client {

// A member of an object that another program wrote: nullopt unless it is there and is what it should be.
std::optional<std::string> TextOf(const nlohmann::json& object, const char* name);
std::optional<std::int64_t> WholeOf(const nlohmann::json& object, const char* name);  // 0 to 2^53 - 1

// A line of a manifest, checked: refuses names that could lead out of the program's folder or to what is not for the
// instance to write. `why` is set when it returns nullopt.
std::optional<PlanLine> CheckedLine(const nlohmann::json& line, std::string* why);
// True of files that are never replaced over the air: nothing could take a broken guard back.
bool IsProtected(const std::string& path);

// A line as the journal keeps it.
nlohmann::json ToJson(const PlanLine& line);
PlanLine FromJournal(const nlohmann::json& line);

}  // namespace pepeunit::unit_client
