#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "store.h"

// What changes of nodes share: the node's row, its version, quotas, the audit, idempotency.
namespace pepeunit::graph_registry {

// Raises the version; NOT_FOUND or VERSION_MISMATCH when the row is not as expected.
absl::Status Touch(pqxx::work& tx, const Uuid& id, const std::string& name, int level, std::int64_t expected_version,
                   const std::string& what);
// The same of a row that is to go, and is locked.
absl::Status CheckVersion(pqxx::work& tx, const Uuid& id, std::int64_t expected_version, const std::string& what);
// Closes the variables of a unit that are more open than it, or gives all of them its level.
void SetVariableLevels(pqxx::work& tx, const std::string& unit, int level, bool all);
// RESOURCE_EXHAUSTED when the owner, who is no administrator, has more than `most` nodes of these types with the
// `added` ones, which are not there yet.
absl::Status CheckQuota(pqxx::work& tx, const std::string& owner, const std::vector<graph::v1::NodeType>& types,
                        std::int64_t most, std::size_t added, const std::string& what);
void InsertNode(pqxx::work& tx, const std::string& id, graph::v1::NodeType type, const std::string& parent,
                const std::string& owner, const std::string& name, int level);

// Writes into the audit that the actor did `action` to a node that is there now. `details` are facts, never secrets;
// the actor's personal access token is added.
void Audit(pqxx::work& tx, const Actor& actor, const std::string& action, const std::string& node,
           nlohmann::json details = nlohmann::json::object());

// The same for many nodes in one statement.
void AuditAll(pqxx::work& tx, const Actor& actor, const std::string& action, const std::vector<std::string>& nodes,
              nlohmann::json details = nlohmann::json::object());
// The node that a request with the same idempotency key made; else `id` is remembered for the next one.
absl::StatusOr<std::optional<Uuid>> MadeBefore(pqxx::work& tx, const Actor& actor, const std::string& id);

}  // namespace pepeunit::graph_registry
