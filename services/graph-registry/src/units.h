#pragma once

#include <functional>
#include <map>
#include <string>

#include "pepeunit/graph/v1/rollouts.pb.h"
#include "pepeunit/rpc/caller.h"
#include "ports.h"
#include "store.h"
#include "unit_envs.h"
#include "version_choice.h"
#include "version_files.h"

namespace pepeunit::graph_registry {

// Nodes that stand for devices, and their variables (U, S). Thread-safe.
class Units {
 public:
  // `device_url` is what env.json calls PEPEUNIT_URL.
  Units(GraphStore& store, SecretBox& secrets, Versions& versions, ValueStream& values, InputValues& inputs,
        std::string device_url)
      : store_(store), envs_(secrets, std::move(device_url)), choices_(versions), values_(values), inputs_(inputs) {}

  absl::Status Create(const rpc::Caller& caller, const graph::v1::CreateUnitRequest& request, graph::v1::Unit& out);
  absl::Status Get(const rpc::Caller& caller, const std::string& id, graph::v1::Unit& out);
  absl::Status List(const rpc::Caller& caller, const graph::v1::ListUnitsRequest& request,
                    graph::v1::ListUnitsResponse& out);
  absl::Status Update(const rpc::Caller& caller, const graph::v1::UpdateUnitRequest& request, graph::v1::Unit& out);
  absl::Status Delete(const rpc::Caller& caller, const std::string& id);
  absl::Status Move(const rpc::Caller& caller, const graph::v1::MoveUnitRequest& request, graph::v1::UnitMove& out);
  absl::Status ResetEnv(const rpc::Caller& caller, const std::string& id, graph::v1::Unit& out);
  // Whether a unit, as it is now, is to be moved at all.
  using MayMove = std::function<bool(const graph::v1::Unit& unit)>;
  // Moves a unit to a version whose files were read, for the actor; OK also when it stands there already, or may not.
  absl::Status MoveTo(const Actor& actor, const Uuid& unit, const graph::v1::UnitVersion& to, const VersionFiles& files,
                      const MayMove& may);
  // What that would do to its variables, without their ids and what only it loses.
  absl::Status Foresee(const Uuid& unit, const VersionFiles& files, graph::v1::VersionStep* out);

  absl::Status ListVariables(const rpc::Caller& caller, const std::string& unit,
                             graph::v1::ListUnitVariablesResponse& out);
  absl::Status GetVariable(const rpc::Caller& caller, const std::string& id, graph::v1::Variable& out);
  absl::Status UpdateVariable(const rpc::Caller& caller, const graph::v1::UpdateVariableRequest& request,
                              graph::v1::Variable& out);
  absl::Status SetValue(const rpc::Caller& caller, const graph::v1::SetVariableValueRequest& request,
                        graph::v1::SetVariableValueResponse& out);

 private:
  absl::StatusOr<NodeFacts> CheckUnit(const rpc::Caller& caller, const std::string& field, const std::string& id,
                                      access::Role needed);
  absl::Status MoveOnce(const rpc::Caller& caller, const graph::v1::MoveUnitRequest& request, graph::v1::UnitMove& out);
  absl::Status TellLosses(const std::vector<VariableRow>& rows, const MoveWrite& write, graph::v1::UnitMove* told);
  absl::Status TellUnfit(const MoveWrite& write, graph::v1::UnitMove* told);
  absl::StatusOr<EnvChange> PlanEnv(const VersionFiles& files, bool preview, MoveWrite* write);
  absl::StatusOr<graph::v1::Unit> Read(const rpc::Caller& caller, const Uuid& id);
  absl::Status Show(const rpc::Caller& caller, std::map<std::string, bool>* repositories, graph::v1::Unit* unit);

  GraphStore& store_;
  UnitEnvs envs_;
  VersionChoices choices_;
  ValueStream& values_;
  InputValues& inputs_;
};

}  // namespace pepeunit::graph_registry
