#include "unit_events.h"

#include <algorithm>
#include <map>
#include <set>

#include "link_rows.h"
#include "pepeunit/base/log.h"
#include "rights.h"
#include "rows.h"

namespace pepeunit::graph_registry {
namespace {

// The changes of the transaction that runs in this thread which the gate must know of.
thread_local std::vector<bus::v1::UnitChanged>* forbidding = nullptr;

bool Forbids(const bus::v1::UnitChanged& changed) {
  return changed.deleted() || changed.removed_variable_ids_size() > 0 || changed.suspended_link_ids_size() > 0 ||
         changed.removed_link_ids_size() > 0;
}

// Each under the version that the unit's profile has from this change on.
void AppendChanges(pqxx::work& tx, std::vector<bus::v1::UnitChanged> changes) {
  std::vector<std::string> ids;
  for (const auto& changed : changes) ids.push_back(changed.unit_id());
  std::map<std::string, std::uint64_t> versions;
  for (const auto& row : tx.exec_params("UPDATE unit SET profile_version = profile_version + 1"
                                        " WHERE id = ANY ($1::uuid[]) RETURNING id, profile_version",
                                        postgres::ArrayOf(ids))) {
    versions[row[0].c_str()] = row[1].as<std::uint64_t>();
  }
  std::vector<outbox::Entry> entries;
  for (auto& changed : changes) {
    if (const auto version = versions.find(changed.unit_id()); version != versions.end())
      changed.set_profile_version(version->second);
    outbox::Entry& entry = entries.emplace_back();
    entry.subject = "events.graph.unit." + changed.unit_id();
    *entry.event.mutable_unit_changed() = changed;
    if (forbidding != nullptr && Forbids(changed)) forbidding->push_back(std::move(changed));
  }
  outbox::AppendAll(tx, entries);
}

void AppendChange(pqxx::work& tx, bus::v1::UnitChanged changed) { AppendChanges(tx, {std::move(changed)}); }

// Locks the units in the order of their ids, which keeps transactions from waiting for each other in a circle.
std::vector<std::string> Lock(pqxx::work& tx, const std::string& units) {
  std::vector<std::string> ids;
  for (const auto& row : tx.exec("SELECT id FROM unit WHERE id IN (" + units + ") ORDER BY id FOR NO KEY UPDATE"))
    ids.emplace_back(row[0].c_str());
  return ids;
}

// The changes of these locked units, with the links of `from` (an expression with the columns of `link`, named l) that
// may not carry now. Transactions that take rights away from one link lock its source first and look then, so the
// later one sees what the earlier one left.
void AppendAll(pqxx::work& tx, const std::vector<std::string>& units, const std::string& from,
               const postgres::Params& params, std::map<std::string, bus::v1::UnitChanged> changes = {}) {
  for (const std::string& unit : units) changes[unit].set_unit_id(unit);
  tx.exec(kJoinAsWritten);
  for (const LinkRow& row : ReadLinkRows(postgres::Exec(tx, LinkRowQuery(from), params))) {
    const auto source = changes.find(row.output.variable.unit_id());
    if (source != changes.end() && !CheckLink(row).ok()) source->second.add_suspended_link_ids(row.link.id());
  }
  std::vector<bus::v1::UnitChanged> all;
  for (auto& [unit, changed] : changes) all.push_back(std::move(changed));
  AppendChanges(tx, std::move(all));
}

}  // namespace

absl::Status TransactWithEvents(postgres::Pool& pool, outbox::Relay* relay, ValueGate* gate, const char* name,
                                const std::function<absl::Status(pqxx::work&)>& body) {
  std::vector<bus::v1::UnitChanged> changes;
  forbidding = &changes;
  const absl::Status status = pool.Transact(name, [&](pqxx::work& tx) {
    changes.clear();  // of a try that did not commit
    return body(tx);
  });
  forbidding = nullptr;
  if (!status.ok()) return status;
  if (relay != nullptr) relay->Kick();
  if (gate == nullptr) return absl::OkStatus();
  constexpr std::size_t kMostAtOnce = 1000;  // in one message
  for (std::size_t at = 0; at < changes.size(); at += kMostAtOnce) {
    const auto first = changes.begin() + static_cast<std::ptrdiff_t>(at);
    const auto last = changes.begin() + static_cast<std::ptrdiff_t>(std::min(changes.size(), at + kMostAtOnce));
    const absl::Status told = gate->Apply({first, last});
    if (told.ok()) continue;
    log::Warning("values that are on their way may still pass until state-logger has the events of this change",
                 {{"change", name}, {"unit", first->unit_id()}, {"status", told}});
    break;
  }
  return absl::OkStatus();
}

std::vector<std::string> LockWithSources(pqxx::work& tx, const std::string& unit) {
  const std::string id = tx.quote(unit) + "::uuid";
  return Lock(tx, "SELECT " + id +
                      " UNION SELECT o.unit_id FROM link l JOIN variable i ON i.id = l.input_id"
                      " JOIN variable o ON o.id = l.output_id WHERE i.unit_id = " +
                      id);
}

void AppendUnitChanged(pqxx::work& tx, const std::string& unit, bool deleted, const std::vector<std::string>& removed) {
  bus::v1::UnitChanged changed;
  changed.set_unit_id(unit);
  changed.set_deleted(deleted);
  for (const auto& id : removed) changed.add_removed_variable_ids(id);
  AppendChange(tx, std::move(changed));
}

void AppendLinkRemoved(pqxx::work& tx, const std::string& unit, const std::string& link) {
  bus::v1::UnitChanged changed;
  changed.set_unit_id(unit);
  changed.add_removed_link_ids(link);
  AppendChange(tx, std::move(changed));
}

void AppendSourcesChanged(pqxx::work& tx, const std::string& unit) {
  for (const std::string& source : LockWithSources(tx, unit)) {
    if (source != unit) AppendUnitChanged(tx, source);
  }
}

void AppendUnitMoved(pqxx::work& tx, bus::v1::UnitChanged changed, const std::vector<std::string>& locked) {
  const std::string unit = changed.unit_id();
  postgres::Params params;
  const std::string touching = LinksTouching(params, *Uuid::Parse(unit)) + " l";
  AppendAll(tx, locked, touching, params, {{unit, std::move(changed)}});
}

void AppendRightsChanged(pqxx::work& tx, const std::string& node) {
  const auto row = tx.exec_params1("SELECT type, coalesce(parent_id, id) FROM node WHERE id = $1", node);
  const int type = row[0].as<int>();
  if (type == graph::v1::NODE_TYPE_USER || type == graph::v1::NODE_TYPE_REPO_UNIT) return;
  const std::string unit = row[1].c_str();
  postgres::Params params;
  const std::string touching = LinksTouching(params, *Uuid::Parse(node)) + " l";
  AppendAll(tx, LockWithSources(tx, unit), touching, params);
}

void AppendOwnerChanged(pqxx::work& tx, const std::vector<std::string>& units) {
  const std::string theirs =
      "(SELECT id FROM variable WHERE unit_id = ANY (" + tx.quote(postgres::ArrayOf(units)) + "::uuid[]))";
  const std::string touching = "(SELECT * FROM link WHERE output_id IN " + theirs +
                               " UNION SELECT * FROM link WHERE input_id IN " + theirs + ") l";
  const auto concerned =
      Lock(tx, "SELECT unnest(" + tx.quote(postgres::ArrayOf(units)) + "::uuid[]) UNION SELECT o.unit_id FROM " +
                   touching + " JOIN variable o ON o.id = l.output_id");
  AppendAll(tx, concerned, touching, {});
}

std::vector<bus::v1::UnitChanged> AppendSourcesOfDeleted(pqxx::work& tx, const std::vector<std::string>& units) {
  const std::string ids = tx.quote(postgres::ArrayOf(units)) + "::uuid[]";
  std::vector<bus::v1::UnitChanged> sources;
  const std::set<std::string> going(units.begin(), units.end());
  for (const std::string& unit :
       Lock(tx, "SELECT unnest(" + ids +
                    ") UNION SELECT o.unit_id FROM link l JOIN variable i ON i.id = l.input_id"
                    " JOIN variable o ON o.id = l.output_id WHERE i.unit_id = ANY (" +
                    ids + ")")) {
    if (!going.contains(unit)) sources.emplace_back().set_unit_id(unit);
  }
  AppendChanges(tx, std::move(sources));
  std::map<std::string, bus::v1::UnitChanged> gone;
  for (const std::string& unit : units) {
    gone[unit].set_unit_id(unit);
    gone[unit].set_deleted(true);
  }
  for (const auto& row : tx.exec("SELECT unit_id, id FROM variable WHERE unit_id = ANY (" + ids + ") ORDER BY 1, 2"))
    gone[row[0].c_str()].add_removed_variable_ids(row[1].c_str());
  std::vector<bus::v1::UnitChanged> deleted;
  for (auto& [unit, changed] : gone) deleted.push_back(std::move(changed));
  return deleted;
}

void AppendDeleted(pqxx::work& tx, std::vector<bus::v1::UnitChanged> units) { AppendChanges(tx, std::move(units)); }

void AppendDevicesStopped(pqxx::work& tx, const std::string& user) {
  const std::string id = tx.quote(user) + "::uuid";
  const std::string drawn = "(SELECT * FROM link WHERE creator_id = " + id + ") l";
  AppendAll(tx,
            Lock(tx, "SELECT u.id FROM unit u JOIN node n USING (id) WHERE n.owner_id = " + id +
                         " UNION SELECT o.unit_id FROM " + drawn + " JOIN variable o ON o.id = l.output_id"),
            drawn, {});
}

void AppendCreatorChanged(pqxx::work& tx, const std::string& user) {
  const std::string drawn = "(SELECT * FROM link WHERE creator_id = " + tx.quote(user) + "::uuid) l";
  AppendAll(tx, Lock(tx, "SELECT o.unit_id FROM " + drawn + " JOIN variable o ON o.id = l.output_id"), drawn, {});
}

}  // namespace pepeunit::graph_registry
