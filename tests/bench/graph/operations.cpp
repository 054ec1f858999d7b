#include "operations.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <stdexcept>

#include "internals.h"
#include "links.h"
#include "neighbourhoods.h"
#include "nodes.h"
#include "outside.h"
#include "postgres_graph_view.h"
#include "postgres_store.h"
#include "postgres_tokens.h"
#include "repo_units.h"
#include "units.h"

namespace pepeunit::bench {
namespace {

using namespace graph_registry;
using Clock = std::chrono::steady_clock;

constexpr int kPageSize = 50;
constexpr Quotas kNoQuotas{.repo_units = 1 << 30, .units = 1 << 30, .variables = 1 << 30};

// One call: how many rows it brought. Throws when it fails.
using Call = std::function<std::size_t(const rpc::Caller&)>;

struct User {
  std::string name;
  std::function<rpc::Caller()> caller;  // a new one for each call
};

// A unit or repository, and somebody who may see it.
struct Target {
  rpc::Caller caller;
  std::string node;
};
using Targets = std::vector<Target>;

void Need(const absl::Status& status, const char* what) {
  if (!status.ok()) throw std::runtime_error(std::string(what) + ": " + status.ToString());
}

double Percentile(const std::vector<double>& sorted, double p) {
  return sorted.empty() ? 0 : sorted[static_cast<std::size_t>(p * static_cast<double>(sorted.size() - 1))];
}

class Operations {
 public:
  Operations(postgres::Pool& pool, const Shape& shape, int rounds, std::string only)
      : shape_(shape),
        rounds_(rounds),
        only_(std::move(only)),
        store_(pool, nullptr, nullptr, kNoQuotas),
        tokens_(pool),
        hoods_(pool) {}

  std::vector<Timing> Run() {
    const std::vector<User> users = {
        {"ordinary user", [&] { return Caller(shape_.User(Below(shape_.users))); }},
        {"newcomer", [&] { return Caller(shape_.Newcomer()); }},
        {"administrator", [&] { return Caller(shape_.Administrator(), true); }},
    };
    for (const User& user : users) {
      const Targets own = Own(user), seen = Seen(user, own);
      Pages(user);
      OnUnits(user, seen);
      Neighbourhoods_(user, seen);
      Reconciliations(user, own);
    }
    return std::move(timings_);
  }

 private:
  std::int64_t Below(std::int64_t n) { return std::uniform_int_distribution<std::int64_t>(0, n - 1)(random_); }

  rpc::Caller Caller(const Uuid& user, bool administrator = false) const {
    return {.kind = rpc::Caller::Kind::kUser,
            .user_id = user,
            .session_id = shape_.Session(user),
            .administrator = administrator};
  }

  std::size_t Calls() const { return static_cast<std::size_t>(rounds_ + rounds_ / 10 + 1); }

  // Units of an ordinary user himself, of a newcomer, who makes them here, and any for an administrator: two for each
  // call, for a move and its preview.
  Targets Own(const User& user) {
    Targets own;
    if (user.name == "newcomer") {
      const rpc::Caller caller = user.caller();
      for (std::int64_t repository = 0; own.size() < 2 * Calls();) {
        graph::v1::CreateUnitRequest request;
        graph::v1::Unit unit;
        request.set_repo_unit_id(shape_.Repository(repository).ToString());
        request.set_name("new");
        const absl::Status status = units_.Create(caller, request, unit);
        if (absl::IsNotFound(status) && repository + 1 < shape_.repositories)
          ++repository;
        else
          Need(status, "making a unit"), own.push_back({caller, unit.id()});
      }
    }
    while (own.size() < 2 * Calls()) {
      const rpc::Caller caller = user.caller();
      graph::v1::GetNeighbourhoodRequest request;
      graph::v1::Neighbourhood response;
      request.set_id((user.name == "administrator" ? shape_.User(Below(shape_.users)) : caller.user_id).ToString());
      request.add_types(graph::v1::NODE_TYPE_UNIT);
      Need(neighbourhoods_.Get(caller, request, response), "units of a user");
      for (const graph::v1::GraphNode& unit : response.nodes()) {
        if (unit.type() == graph::v1::NODE_TYPE_UNIT && SeesRepositoryOf(caller, unit.id()) &&
            moved_.insert(unit.id()).second)
          own.push_back({caller, unit.id()});
      }
    }
    return own;
  }

  // Else he may not move it.
  bool SeesRepositoryOf(const rpc::Caller& caller, const std::string& id) {
    graph::v1::Unit unit;
    graph::v1::Node node;
    Need(units_.Get(caller, id, unit), "unit");
    return nodes_.Get(caller, unit.version().repo_unit_id(), node).ok();
  }

  // Units that he may see, half of them his own.
  Targets Seen(const User& user, const Targets& own) {
    Targets seen;
    while (seen.size() < Calls()) {
      seen.push_back(own[seen.size() % own.size()]);
      for (bool found = false; !found;) {
        const Target target{user.caller(), shape_.Unit(Below(shape_.units)).ToString()};
        graph::v1::Node node;
        found = nodes_.Get(target.caller, target.node, node).ok();
        if (found) seen.push_back(target);
      }
    }
    return seen;
  }

  // As Time, once for each target.
  void TimeOn(const std::string& operation, const User& user, const Targets& targets,
              const std::function<std::size_t(const Target&)>& call) {
    std::size_t next = 0;
    const auto target = [&]() -> const Target& { return targets[next % targets.size()]; };
    Time(operation, {user.name, [&] { return target().caller; }}, [&](const rpc::Caller&) {
      const std::size_t rows = call(target());
      ++next;
      return rows;
    });
  }

  void Time(const std::string& operation, const User& user, const Call& call) {
    if (operation.find(only_) == std::string::npos) return;
    std::vector<double> took;
    std::size_t rows = 0;
    for (int i = 0; i < rounds_ / 10 + 1; ++i) call(user.caller());  // warms connection and caches
    for (int i = 0; i < rounds_; ++i) {
      const rpc::Caller caller = user.caller();
      const auto begun = Clock::now();
      rows += call(caller);
      took.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begun).count());
    }
    // Administrators see all of the graph: else it was built wrong, and the figures would mean nothing.
    if (rows == 0 && user.caller().administrator) throw std::runtime_error(operation + ": nothing was found");
    std::sort(took.begin(), took.end());
    timings_.push_back({operation, user.name, took.size(), Percentile(took, 0.5), Percentile(took, 0.99), took.back(),
                        static_cast<double>(rows) / static_cast<double>(took.size())});
  }

  // A page of a list: of the first four, one after another.
  template <typename Request, typename Response, typename List, typename Rows>
  void Page(const std::string& what, const User& user, const List& list, const Rows& rows) {
    std::string cursor;
    int page = 0;
    Time(what, user, [&](const rpc::Caller& caller) {
      Request request;
      Response response;
      request.set_page_size(kPageSize);
      if (page++ % 4 != 0) request.set_cursor(cursor);
      Need(list(caller, request, response), what.c_str());
      cursor = response.next_cursor();
      return static_cast<std::size_t>(rows(response));
    });
  }

  void Pages(const User& user) {
    Page<graph::v1::ListUnitsRequest, graph::v1::ListUnitsResponse>(
        "page of units", user, [&](auto& x, auto& q, auto& r) { return units_.List(x, q, r); },
        [](auto& r) { return r.units_size(); });
    Page<graph::v1::ListRepoUnitsRequest, graph::v1::ListRepoUnitsResponse>(
        "page of repositories", user, [&](auto& x, auto& q, auto& r) { return repo_units_.List(x, q, r); },
        [](auto& r) { return r.repo_units_size(); });
    Page<graph::v1::ListUnitsRequest, graph::v1::ListUnitsResponse>(
        "page of the units of a popular repository", user,
        [&](auto& x, auto& q, auto& r) {
          q.set_repo_unit_id(shape_.Repository(0).ToString());
          return units_.List(x, q, r);
        },
        [](auto& r) { return r.units_size(); });
    Page<graph::v1::ListLinksRequest, graph::v1::ListLinksResponse>(
        "page of links", user, [&](auto& x, auto& q, auto& r) { return links_.List(x, q, r); },
        [](auto& r) { return r.links_size(); });
    Page<graph::v1::ListAuditRecordsRequest, graph::v1::ListAuditRecordsResponse>(
        "page of the audit", user, [&](auto& x, auto& q, auto& r) { return nodes_.ListAudit(x, q, r); },
        [](auto& r) { return r.records_size(); });
  }

  void OnUnits(const User& user, const Targets& seen) {
    TimeOn("variables of a unit", user, seen, [&](const Target& target) {
      graph::v1::ListUnitVariablesResponse response;
      Need(units_.ListVariables(target.caller, target.node, response), "variables of a unit");
      return static_cast<std::size_t>(response.variables_size());
    });
    TimeOn("one access decision", user, seen, [&](const Target& target) {
      graph::v1::Node node;
      Need(nodes_.Get(target.caller, target.node, node), "decision");
      return std::size_t{1};
    });
    Time("one access decision, whatever it is", user, [&](const rpc::Caller& caller) {
      graph::v1::Node node;
      const std::int64_t unit = Below(shape_.units), at = Below(1 + Shape::kInputs + Shape::kOutputs);
      const Uuid id = at == 0 ? shape_.Unit(unit) : shape_.Variable(unit, static_cast<int>(at) - 1);
      const absl::Status status = nodes_.Get(caller, id.ToString(), node);
      if (!absl::IsNotFound(status)) Need(status, "decision");
      return static_cast<std::size_t>(status.ok());
    });
  }

  // To this depth around a node that the caller may see.
  std::size_t Around(const rpc::Caller& caller, const std::string& id) {
    graph::v1::GetNeighbourhoodRequest request;
    graph::v1::Neighbourhood response;
    request.set_id(id);
    request.set_depth(2);
    const absl::Status status = neighbourhoods_.Get(caller, request, response);
    if (!absl::IsNotFound(status)) Need(status, "neighbourhood");
    return static_cast<std::size_t>(response.nodes_size());
  }

  void Neighbourhoods_(const User& user, const Targets& seen) {
    TimeOn("neighbourhood of a unit, depth 2", user, seen,
           [&](const Target& target) { return Around(target.caller, target.node); });
    Targets popular;
    while (popular.size() < Calls()) {
      const Target target{user.caller(),
                          shape_.Repository(Below(std::min<std::int64_t>(20, shape_.repositories))).ToString()};
      graph::v1::Node node;
      if (nodes_.Get(target.caller, target.node, node).ok()) popular.push_back(target);
    }
    TimeOn("neighbourhood of a popular repository, depth 2", user, popular,
           [&](const Target& target) { return Around(target.caller, target.node); });
    Time("neighbourhood of a user, depth 2", user, [&](const rpc::Caller& caller) {
      return Around(caller, (user.name == "newcomer" ? shape_.User(Below(shape_.users)) : caller.user_id).ToString());
    });
    Time("search by name", user, [&](const rpc::Caller& caller) {
      graph::v1::SearchNodesRequest request;
      graph::v1::SearchNodesResponse response;
      request.set_name("boiler " + std::to_string(Below(shape_.units)));
      Need(neighbourhoods_.Search(caller, request, response), "search");
      return static_cast<std::size_t>(response.nodes_size());
    });
  }

  // To the next version, each of another unit.
  void Reconciliations(const User& user, const Targets& own) {
    for (const bool preview : {true, false}) {
      const auto half = own.begin() + static_cast<std::ptrdiff_t>(Calls());
      TimeOn(preview ? "preview of a move" : "move: reconciliation, executed", user,
             preview ? Targets(own.begin(), half) : Targets(half, own.end()), [&](const Target& target) {
               graph::v1::MoveUnitRequest request;
               graph::v1::UnitMove response;
               request.set_id(target.node);
               request.mutable_pin()->set_commit(std::string(40, 'b'));
               request.set_preview(preview);
               Need(units_.Move(target.caller, request, response), "move");
               return static_cast<std::size_t>(response.variables_size());
             });
    }
  }

  const Shape shape_;
  const int rounds_;
  const std::string only_;
  std::mt19937_64 random_{42};
  std::set<std::string> moved_;  // no unit is moved twice
  PostgresStore store_;
  PostgresTokens tokens_;
  PostgresGraphView hoods_;
  NoSecrets secrets_;
  TwoVersions versions_;
  NoValues values_;
  NoInputs inputs_;
  RepoUnits repo_units_{store_, secrets_, versions_, {}};
  Units units_{store_, secrets_, versions_, values_, inputs_, "http://device"};
  Links links_{store_, {}, "secret"};
  Nodes nodes_{store_};
  Neighbourhoods neighbourhoods_{hoods_};
  std::vector<Timing> timings_;
};

}  // namespace

std::vector<Timing> TimeOperations(postgres::Pool& pool, const Shape& shape, int rounds, const std::string& only) {
  return Operations(pool, shape, rounds, only).Run();
}

}  // namespace pepeunit::bench
