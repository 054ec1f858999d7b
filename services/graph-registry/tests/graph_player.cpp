#include "graph_player.h"

#include <catch2/catch.hpp>

namespace pepeunit::graph_registry {

using model::StatusCode;

namespace {

// What main and next can be at: kept, changed, replaced, removed and added variables, and one that no unit is made of.
const std::vector<std::pair<char, model::Version>>& Commits() {
  static const std::vector<std::pair<char, model::Version>> commits = {{'a',
                                                                        {{"x", "number", true, true, true, 0},
                                                                         {"y", "number", true, false, true, 0},
                                                                         {"z", "string", true, true, false, 0},
                                                                         {"m", "number", false},
                                                                         {"t", "string", false},
                                                                         {"k", "boolean", false}}},
                                                                       {'b',
                                                                        {{"x", "number", true, true, true, 9},
                                                                         {"z", "string", true, true, true, 0},
                                                                         {"m", "integer", false},
                                                                         {"t", "string", false}}},
                                                                       {'c',
                                                                        {{"w", "boolean", true, true, true, 0},
                                                                         {"x", "number", true, false, true, 0},
                                                                         {"t", "string", true, true, true, 0},
                                                                         {"m", "number", false}}},
                                                                       {'d', {}}};
  return commits;
}

std::string SchemaOf(const model::Version& version) {
  if (version.empty()) return "[]";
  nlohmann::json inputs = nlohmann::json::object(), outputs = nlohmann::json::object();
  for (const auto& declared : version) {
    nlohmann::json variable = {{"type", declared.type}};
    if (declared.maximum != 0) variable["maximum"] = declared.maximum;
    if (declared.input) {
      variable["writable_by"] = nlohmann::json::array();
      if (declared.people) variable["writable_by"].push_back("people");
      if (declared.links) variable["writable_by"].push_back("links");
    }
    (declared.input ? inputs : outputs)[declared.name] = variable;
  }
  return nlohmann::json{{"input_variables", inputs}, {"output_variables", outputs}}.dump();
}

repo::v1::ResolveVersionResponse Resolved(char digit, const std::string& branch, const model::Version& version) {
  repo::v1::ResolveVersionResponse resolved;
  resolved.set_commit(std::string(40, digit));
  resolved.set_branch(branch);
  resolved.set_schema_json(SchemaOf(version));
  resolved.set_env_example_json("{}");
  return resolved;
}

}  // namespace

Player::Player() {
  w_.versions.versions.clear();
  for (const auto& [digit, version] : Commits()) {
    m_.commits[std::string(40, digit)] = version;
    w_.versions.versions["commit:" + std::string(40, digit)] = Resolved(digit, "", version);
  }
  for (const auto& [branch, commit] : std::map<std::string, int>{{"main", 0}, {"next", 1}, {"broken", 3}}) {
    m_.branches[branch] = std::string(40, Commits()[static_cast<std::size_t>(commit)].first);
    w_.versions.versions["branch:" + branch] = Resolved(Commits()[static_cast<std::size_t>(commit)].first, branch,
                                                        Commits()[static_cast<std::size_t>(commit)].second);
  }
  who_.emplace_back();
  for (const bool admin : {true, false, false, false}) {
    const rpc::Caller user = w_.User("user" + std::to_string(users_++), admin);
    m_.users[user.user_id.ToString()] = {admin};
    m_.nodes[user.user_id.ToString()] = {model::kUser, model::kInstance, "", user.user_id.ToString()};
    AddCaller(user, model::kOwner, admin);
    m_.Log(who_.back().viewer, "user.create", user.user_id.ToString());
    m_.Log(who_.back().viewer, "session.create", user.user_id.ToString());
  }
  w_.Events();
}

Step Player::Random(std::mt19937& random) {
  Step step;
  step.operation = static_cast<unsigned>(random());
  for (unsigned& number : step.choose) number = static_cast<unsigned>(random() >> 4);
  return step;
}

std::optional<std::string> Player::Play(const Step& step) {
  step_ = step;
  chosen_ = 0;
  wrong_.clear();
  w_.gate.changes.clear();
  const auto& operations = Operations();
  const auto& [name, operation] = operations[step.operation % operations.size()];
  std::size_t chosen = Next(static_cast<unsigned>(who_.size()));
  // Those who can do nothing are asked less often.
  if (!who_[chosen].lives || who_[chosen].viewer.cap < model::kOwner) chosen = Next(static_cast<unsigned>(who_.size()));
  // By copy: the operation may add callers.
  const Who who = who_[chosen];
  told_ = std::string(name) + " by " + (who.viewer.id.empty() ? "nobody" : who.viewer.id) +
          (who.viewer.admin ? " (administrator)" : "") + " up to " + std::to_string(who.viewer.cap);
  const auto admitted = callers_.Admit(who.caller);
  if (admitted.ok() != who.lives) Wrong(std::string("admitted: ") + (admitted.ok() ? "yes" : "no"));
  const std::set<std::string> carried = m_.Carrying();
  const std::size_t records = m_.audit.size();
  StatusCode code = admitted.status().code();
  if (admitted.ok()) {
    caller_ = *admitted;
    viewer_ = who.viewer;
    if (caller_.administrator != viewer_.admin) Wrong("administrator: " + std::to_string(caller_.administrator));
    code = (this->*operation)();
  }
  told_ += " -> " + absl::StatusCodeToString(code);
  CompareAudit();
  CompareNodes();
  if (m_.audit.size() != records) {
    ++changes_;
    CompareProfiles(carried);
    CompareLists();
  } else if (w_.Events().size() > 0) {
    Wrong("an event of what changed nothing");
  }
  return wrong_.empty() ? std::nullopt : std::optional<std::string>(wrong_);
}

void Player::Expect(StatusCode expected, const absl::Status& status) {
  if (status.code() == expected) return;
  Wrong("expected " + absl::StatusCodeToString(expected) + ", got " + status.ToString());
}

std::string Player::NextNode() {
  const unsigned number = Next(1u << 20);
  if (number % 16 == 0) return gone_.empty() ? Uuid::New().ToString() : gone_[(number / 16) % gone_.size()];
  return std::next(m_.nodes.begin(), static_cast<std::ptrdiff_t>((number / 16) % m_.nodes.size()))->first;
}

std::string Player::NextOf(int type) {
  const unsigned number = Next(1u << 20);
  const bool own = number % 3 == 0;  // that he may do something with it
  std::vector<std::string> ids;
  for (const auto& [id, node] : m_.nodes) {
    if (node.type == type && (!own || node.owner == viewer_.id)) ids.push_back(id);
  }
  if (ids.empty() || number % 16 == 0) return NextNode();
  return ids[(number / 16) % ids.size()];
}

bool Player::NextIfMatch(const std::string& node) {
  const unsigned number = Next(8);
  const auto found = m_.nodes.find(node);
  const std::int64_t version = found == m_.nodes.end() ? 1 : found->second.version;
  caller_.if_match = number == 0 ? std::to_string(version + 1) : number == 1 ? std::to_string(version) : "";
  return number != 0;
}

void Player::AddCaller(const rpc::Caller& caller, int cap, bool admin) {
  const bool session = caller.reach == rpc::Caller::Reach::kAll;
  who_.push_back({caller, {caller.user_id.ToString(), admin, cap, session}, true, session || admin});
}

void Player::ReadVariables(const std::string& unit, const model::Version& version) {
  const auto rows = w_.store.ListVariables(*Uuid::Parse(unit), {});
  if (!rows.ok() || rows->size() != version.size()) return Wrong("not the variables of its version");
  const std::vector<std::string> before = m_.VariablesOf(unit);
  std::set<std::string> stay;
  for (const VariableRow& row : *rows) {
    const std::string& id = row.variable.id();
    const auto declared =
        std::find_if(version.begin(), version.end(), [&](const auto& one) { return one.name == row.variable.name(); });
    if (declared == version.end()) return Wrong("a variable that is not declared: " + row.variable.name());
    const auto old = std::find_if(before.begin(), before.end(), [&](const std::string& one) {
      const model::Declared& was = m_.variables.at(one).declared;
      return was.name == declared->name && was.type == declared->type && was.input == declared->input;
    });
    if ((old != before.end()) != m_.variables.contains(id) || (old != before.end() && *old != id)) {
      return Wrong("its variable " + declared->name + " should have been " + (old == before.end() ? "new" : "kept"));
    }
    stay.insert(id);
    auto& node = m_.nodes[id];
    if (old == before.end()) {
      const model::Node& above = m_.nodes.at(unit);
      node = {declared->input ? model::kInput : model::kOutput, above.level, unit, above.owner};
    } else if (!(m_.variables.at(id).declared == *declared)) {
      ++node.version;
    }
    m_.variables[id].declared = *declared;
  }
  for (const std::string& id : before) {
    if (stay.contains(id)) continue;
    m_.Erase(id);
    gone_.push_back(id);
  }
}

void Player::Moved(const std::string& id, const std::string& commit, const std::string& branch, bool follow) {
  m_.units.at(id) = {m_.units.at(id).repo, commit, branch, follow};
  ++m_.nodes.at(id).version;
  ReadVariables(id, m_.commits.at(commit));
}

void Player::CompareNodes() {
  std::map<std::string, model::Node> nodes;
  std::map<std::tuple<std::string, int, std::string>, int> grants;
  std::set<std::string> links;
  int open = 0, orphans = 0;
  REQUIRE(w_.pool.Transact("compare", [&](pqxx::work& tx) {
    for (const auto& row :
         tx.exec("SELECT id, type, level, coalesce(parent_id::text, ''), owner_id, version FROM node"))
      nodes[row[0].c_str()] = {row[1].as<int>(), row[2].as<int>(), row[3].c_str(), row[4].c_str(),
                               row[5].as<std::int64_t>()};
    for (const auto& row : tx.exec("SELECT node_id, subject_kind, subject_id, role FROM node_grant"))
      grants[{row[0].c_str(), row[1].as<int>(), row[2].c_str()}] = row[3].as<int>();
    for (const auto& row : tx.exec("SELECT id FROM link")) links.insert(row[0].c_str());
    open =
        tx.exec1("SELECT count(*) FROM node n JOIN node p ON p.id = n.parent_id WHERE n.level > p.level")[0].as<int>();
    orphans = tx.exec1(
                    "SELECT (SELECT count(*) FROM node WHERE type IN (4, 5) AND (parent_id IS NULL OR NOT EXISTS"
                    " (SELECT 1 FROM unit u JOIN repo_unit r ON r.id = u.repo_unit_id WHERE u.id = parent_id)))"
                    " + (SELECT count(*) FROM node n WHERE type = 3 AND NOT EXISTS (SELECT 1 FROM unit u JOIN"
                    " repo_unit r ON r.id = u.repo_unit_id WHERE u.id = n.id))")[0]
                  .as<int>();
    return absl::OkStatus();
  }) == absl::OkStatus());
  if (open > 0) Wrong("a child is more open than its parent");
  if (orphans > 0) Wrong("a variable without a unit, or a unit without a repository");
  for (const auto& [id, node] : nodes) {
    const auto found = m_.nodes.find(id);
    if (found == m_.nodes.end()) {
      Wrong("there still is " + id + " of type " + std::to_string(node.type));
      continue;
    }
    const model::Node& want = found->second;
    if (node.type != want.type || node.level != want.level || node.parent != want.parent || node.owner != want.owner ||
        node.version != want.version) {
      Wrong(id + " of type " + std::to_string(node.type) + ": level " + std::to_string(node.level) + ", version " +
            std::to_string(node.version) + "; expected level " + std::to_string(want.level) + ", version " +
            std::to_string(want.version));
    }
  }
  for (const auto& [id, node] : m_.nodes) {
    if (!nodes.contains(id)) Wrong("there is no " + id + " of type " + std::to_string(node.type));
  }
  if (grants != m_.grants)
    Wrong("the roles differ: " + std::to_string(grants.size()) + " of " + std::to_string(m_.grants.size()));
  std::set<std::string> drawn;
  for (const auto& [id, link] : m_.links) drawn.insert(id);
  if (links != drawn)
    Wrong("the links differ: " + std::to_string(links.size()) + " of " + std::to_string(drawn.size()));
}

void Player::CompareAudit() {
  std::multiset<model::Record> records, want;
  for (std::size_t i = audited_; i < m_.audit.size(); ++i) want.insert(m_.audit[i]);
  REQUIRE(w_.pool.Transact("audit", [&](pqxx::work& tx) {
    for (const auto& row : tx.exec("SELECT coalesce(actor_id::text, ''), action, node_id, owner_id FROM audit"
                                   " ORDER BY id OFFSET " +
                                   std::to_string(audited_)))
      records.insert({row[0].c_str(), row[1].c_str(), row[2].c_str(), row[3].c_str()});
    return absl::OkStatus();
  }) == absl::OkStatus());
  audited_ = m_.audit.size();
  if (records == want) return;
  std::string text = "audit:";
  for (const auto& record : records) text += ' ' + record.action;
  text += "; expected:";
  for (const auto& record : want) text += ' ' + record.action;
  Wrong(text);
}

void Player::CompareProfiles(const std::set<std::string>& carried) {
  const auto events = w_.Events();
  std::set<std::string> told;  // what the gate was told must not pass
  for (const auto& changed : w_.gate.changes) {
    for (const auto* ids :
         {&changed.suspended_link_ids(), &changed.removed_link_ids(), &changed.removed_variable_ids()})
      told.insert(ids->begin(), ids->end());
  }
  const std::set<std::string> carrying = m_.Carrying();
  for (const auto& [unit, profile] : std::map(profiles_)) {
    if (m_.units.contains(unit)) continue;
    profiles_.erase(unit);
    const bool said = std::any_of(events.begin(), events.end(), [&](const auto& event) {
      return event.unit_changed().unit_id() == unit && event.unit_changed().deleted();
    });
    if (!said) Wrong("no event says that unit " + unit + " is gone");
  }
  for (const std::string& link : carried) {
    // One that is gone went with an end or alone; one that is there was suspended.
    if (!carrying.contains(link) && m_.links.contains(link) && !told.contains(link))
      Wrong("the gate was not told that link " + link + " may not carry");
  }
  for (const auto& [id, unit] : m_.units) {
    graph::v1::UnitProfile profile;
    const absl::Status status = w_.internals.UnitProfile(rpc::Caller::Service(), id, profile);
    const bool stopped = m_.users.at(m_.nodes.at(id).owner).stopped;
    if (status.ok() == stopped) Wrong("profile of a unit" + std::string(stopped ? " that is stopped" : ""));
    std::set<std::string> links, want;
    for (const auto& link : profile.links()) links.insert(link.link_id());
    for (const std::string& link : carrying) {
      if (m_.nodes.at(m_.links.at(link).output).parent == id) want.insert(link);
    }
    if (!stopped && links != want)
      Wrong("unit " + id + " carries " + std::to_string(links.size()) + " links, not " + std::to_string(want.size()));
    const std::uint64_t version = w_.store.GetUnitSecrets(*Uuid::Parse(id))->profile_version;
    profile.clear_version();
    const std::string content = profile.SerializeAsString();
    Profile& before = profiles_[id];
    if (content != before.content) {
      const bool said = std::any_of(events.begin(), events.end(), [&](const auto& event) {
        return event.unit_changed().unit_id() == id && event.unit_changed().profile_version() == version;
      });
      if (version <= before.version || !said)
        Wrong("the profile of unit " + id + " changed, but its version did not rise, or no event tells");
    }
    before = {content, version};
  }
}

}  // namespace pepeunit::graph_registry
