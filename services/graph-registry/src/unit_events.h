#pragma once

#include <functional>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "pepeunit/outbox/outbox.h"
#include "pepeunit/postgres/pool.h"
#include "ports.h"

// Events of units and repositories, written in the transaction of the change.
namespace pepeunit::graph_registry {

// Runs a transaction that writes events. After its commit kicks the relay and tells the gate what must not pass any
// more, so that whoever took a right away has an answer only when nothing passes by it. Waits for the gate for 2 s at
// most; without its answer the events tell it later. `relay` and `gate` may be null.
absl::Status TransactWithEvents(postgres::Pool& pool, outbox::Relay* relay, ValueGate* gate, const char* name,
                                const std::function<absl::Status(pqxx::work&)>& body);

// repo-sync keeps this repository no more.
void AppendRepoUnitDeleted(pqxx::work& tx, const std::string& id);

// What unit-ingest caches of this unit is no longer true.
void AppendUnitChanged(pqxx::work& tx, const std::string& unit, bool deleted = false,
                       const std::vector<std::string>& removed = {});

// A link from an output of this unit is gone.
void AppendLinkRemoved(pqxx::work& tx, const std::string& unit, const std::string& link);

// Locks a unit and those whose outputs are linked into its inputs, before links of it go; returns their ids.
std::vector<std::string> LockWithSources(pqxx::work& tx, const std::string& unit);

// The unit has the variables of another version now: `changed` names what it lost, and links into inputs that the new
// version closes to them are suspended. `locked` are those that LockWithSources returned before.
void AppendUnitMoved(pqxx::work& tx, bus::v1::UnitChanged changed, const std::vector<std::string>& locked);

// What unit-ingest caches of the units whose outputs are linked into this unit's inputs is no longer true.
void AppendSourcesChanged(pqxx::work& tx, const std::string& unit);

// Rights on a unit or variable, or what it accepts, are others now: who carries values by them has to look again, and
// links that lost theirs are suspended. The row of the node must be locked by this transaction.
void AppendRightsChanged(pqxx::work& tx, const std::string& node);

// These units, which must be locked, belong to somebody else now.
void AppendOwnerChanged(pqxx::work& tx, const std::vector<std::string>& units);

// Many units that go at once: before it, whose values reach them is told, and what is to be told afterwards returned.
std::vector<bus::v1::UnitChanged> AppendSourcesOfDeleted(pqxx::work& tx, const std::vector<std::string>& units);
void AppendDeleted(pqxx::work& tx, std::vector<bus::v1::UnitChanged> units);

// A user's devices are stopped now, or may go on: his units, and the links that he drew.
void AppendDevicesStopped(pqxx::work& tx, const std::string& user);

// The same as AppendRightsChanged for all links that somebody drew: his account was changed or deleted. Its row must be
// locked.
void AppendCreatorChanged(pqxx::work& tx, const std::string& user);

}  // namespace pepeunit::graph_registry
