#include "build.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <pqxx/pqxx>

#include "pepeunit/base/bytes.h"
#include "pepeunit/graph/v1/internal.pb.h"
#include "pepeunit/schema/schema.h"
#include "pepeunit/values/values.h"
#include "schemas.h"

namespace pepeunit::bench {
namespace {

// What is needed on the way, in the service's own schema: its role may make nothing elsewhere.
// bench_id is the same as Shape::Id: 48 bits of time, the version, the kind, and bits that are not random.
constexpr char kIds[] = R"(
CREATE FUNCTION bench_id(kind text, at bigint) RETURNS uuid IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
  SELECT (lpad(to_hex(1700000000000 + at), 12, '0') || '70' || kind || '80' || kind || lpad(to_hex(at), 12, '0'))::uuid
$$;
-- 0 to n - 1, the lower the likelier.
CREATE FUNCTION bench_popular(n bigint) RETURNS bigint VOLATILE LANGUAGE sql AS $$
  SELECT floor(n * power(random(), 3))::bigint
$$;
-- Levels: most private.
CREATE FUNCTION bench_level(private float, instance float, federated float) RETURNS smallint VOLATILE LANGUAGE sql AS $$
  SELECT (CASE WHEN r < private THEN 1 WHEN r < private + instance THEN 2 WHEN r < private + instance + federated THEN 3
          ELSE 4 END)::smallint FROM (SELECT random() AS r) x
$$;
SELECT setseed(0.42);
)";

constexpr char kDropped[] = R"(
DROP TABLE bench_made, bench_chain, bench_drawn, bench_definition;
DROP FUNCTION bench_id, bench_popular, bench_level;
)";

constexpr char kPeople[] = R"(
INSERT INTO node (id, type, owner_id, name, level)
  SELECT bench_id('01', i * 7), 1, bench_id('01', i * 7), 'user' || i, 2 FROM generate_series(0, {users} + 1) i;
INSERT INTO account (id, login, password_hash, administrator)
  SELECT bench_id('01', i * 7), 'user' || i, '', i = {users} FROM generate_series(0, {users} + 1) i;
INSERT INTO session (id, user_id, refresh_hash, expires_at)
  SELECT bench_id('00', i * 7), bench_id('01', i * 7), decode(md5(i::text), 'hex'), now() + interval '1 day'
  FROM generate_series(0, {users} + 1) i;
INSERT INTO node (id, type, owner_id, name, level)
  SELECT bench_id('02', i * 13), 2, bench_id('01', 7 * bench_popular({users})), 'firmware ' || i,
         bench_level(0.2, 0.1, 0.05)
  FROM generate_series(0, {repositories} - 1) i;
INSERT INTO repo_unit (id, url, private, default_branch, sync_period_s, sync_state)
  SELECT bench_id('02', i * 13), 'https://example.org/' || i || '.git', false, 'main', 86400, 3
  FROM generate_series(0, {repositories} - 1) i;
)";

constexpr char kUnits[] = R"(
CREATE UNLOGGED TABLE bench_made AS
  SELECT i, bench_popular({users}) AS owner, bench_popular({repositories}) AS repo,
         bench_level(0.7, 0.17, 0.03) AS level
  FROM generate_series(0, {units} - 1) i;
INSERT INTO node (id, type, owner_id, name, level)
  SELECT bench_id('03', i), 3, bench_id('01', owner * 7),
         (ARRAY['kitchen', 'hall', 'garden', 'boiler', 'stable'])[1 + i % 5] || ' ' || i, level FROM bench_made;
INSERT INTO unit (id, repo_unit_id, commit_id, tag, branch, follow, sealed_sync_key, sealed_env)
  SELECT bench_id('03', i), bench_id('02', repo * 13), repeat('a', 40), '', 'main', i % 3 <> 0,
         decode(repeat('5e', 92), 'hex'), decode(repeat('5e', 400), 'hex')
  FROM bench_made;
INSERT INTO node (id, type, parent_id, owner_id, name, level)
  SELECT bench_id('1' || v.at, m.i), v.type, bench_id('03', m.i), bench_id('01', m.owner * 7), v.name,
         CASE WHEN random() < 0.1 THEN 1 ELSE m.level END
  FROM bench_made m CROSS JOIN bench_definition v;
INSERT INTO variable (id, unit_id, kind, name, position, definition)
  SELECT bench_id('1' || v.at, m.i), bench_id('03', m.i), v.kind, v.name, v.at + 1, v.definition
  FROM bench_made m CROSS JOIN bench_definition v;
)";

// Half of the links go on from each unit to the next one of the same owner, the others anywhere.
constexpr char kLinks[] = R"(
CREATE UNLOGGED TABLE bench_chain AS
  SELECT id, owner_id, lead(id) OVER (PARTITION BY owner_id ORDER BY id) AS next, row_number() OVER (ORDER BY id) - 1 AS i
  FROM node WHERE type = 3;
CREATE UNLOGGED TABLE bench_drawn AS
  SELECT i, owner_id, next, floor(random() * {units})::bigint AS other FROM bench_chain;
INSERT INTO link (id, type, output_id, input_id, creator_id)
  SELECT bench_id('06', i * 8 + n), 1, bench_id('1' || (4 + n), i),
         bench_id('1' || n, ('x' || right(next::text, 12))::bit(48)::bigint), owner_id
  FROM bench_drawn CROSS JOIN generate_series(0, 1) n WHERE next IS NOT NULL AND i * 2 + n < {links};
INSERT INTO link (id, type, output_id, input_id, creator_id)
  SELECT bench_id('07', i * 8 + n), 2, bench_id('1' || (8 + n), i), bench_id('1' || (2 + n), other), owner_id
  FROM bench_drawn CROSS JOIN generate_series(0, 1) n WHERE i * 2 + n < {links};
)";

constexpr char kRights[] = R"(
INSERT INTO node_grant (node_id, subject_kind, subject_id, role, node_type, granted_by)
  SELECT bench_id('03', floor(random() * {units})::bigint), 1,
         -- One in ten goes to one of ten users who are let into very much.
         bench_id('01', 7 * CASE WHEN i % 10 = 0 THEN i / 10 % 10 ELSE floor(random() * {users})::bigint END),
         1 + i % 3, 3, bench_id('01', 0)
  FROM generate_series(0, {grants} - 1) i ON CONFLICT DO NOTHING;
INSERT INTO audit (id, at, actor_id, action, node_id, node_type, node_name, owner_id, details, client_address, trace_id)
  SELECT bench_id('08', n.i * 4 + k), now(), n.owner_id, 'unit.update', n.id, 3, n.name, n.owner_id, '{{}}', '10.0.0.1', ''
  FROM (SELECT *, row_number() OVER (ORDER BY id) AS i FROM node WHERE type = 3) n CROSS JOIN generate_series(0, 3) k;
)";

// Of all units alike, as schema.json of their version has them.
void WriteDefinitions(pqxx::work& tx) {
  tx.exec("CREATE UNLOGGED TABLE bench_definition (at int, type smallint, kind smallint, name text, definition bytea)");
  const schema::Schema schema = SchemaOf(kSchema);
  int at = 0;
  const auto add = [&](const std::vector<schema::Variable>& variables, graph::v1::VariableKind kind,
                       graph::v1::NodeType type) {
    for (const auto& each : variables) {
      graph::v1::Variable variable;
      values::FromDefinition(each, kind, &variable);
      tx.exec_params("INSERT INTO bench_definition VALUES ($1, $2, $3, $4, $5)", at++, static_cast<int>(type),
                     static_cast<int>(kind), each.name, pqxx::binarystring(variable.SerializeAsString()));
    }
  };
  add(schema.inputs, graph::v1::VARIABLE_KIND_INPUT, graph::v1::NODE_TYPE_INPUT_VARIABLE);
  add(schema.outputs, graph::v1::VARIABLE_KIND_OUTPUT, graph::v1::NODE_TYPE_OUTPUT_VARIABLE);
}

std::string Filled(const char* sql, const Shape& shape) {
  return fmt::format(fmt::runtime(sql), fmt::arg("users", shape.users), fmt::arg("units", shape.units),
                     fmt::arg("repositories", shape.repositories), fmt::arg("links", shape.links / 2),
                     fmt::arg("grants", shape.grants));
}

}  // namespace

Shape Shape::Scaled(double scale) {
  const auto part = [&](std::int64_t n) { return std::max<std::int64_t>(10, static_cast<std::int64_t>(static_cast<double>(n) * scale)); };
  const Shape full;
  return {part(full.users), part(full.units), part(full.repositories), part(full.links), part(full.grants)};
}

Uuid Shape::Id(int kind, std::int64_t at) {
  constexpr std::int64_t kEpochMs = 1'700'000'000'000;
  const std::string time = fmt::format("{:012x}", kEpochMs + at);
  return *Uuid::Parse(fmt::format("{}-{}-70{:02}-80{:02}-{:012x}", time.substr(0, 8), time.substr(8), kind, kind, at));
}

Uuid Shape::Session(const Uuid& user) const {
  std::string text = user.ToString();
  text[17] = text[22] = '0';
  return *Uuid::Parse(text);
}

void BuildGraph(const std::string& dsn, const std::string& schema, const Shape& shape) {
  pqxx::connection connection(dsn);
  {
    pqxx::work tx(connection);
    tx.exec("SET search_path TO " + tx.quote_name(schema));
    tx.exec("SET statement_timeout TO 0");
    tx.exec("SET synchronous_commit TO off");
    tx.exec("SET work_mem TO '64MB'");
    tx.commit();
  }
  pqxx::work tx(connection);
  // The rows stand for what happened long ago: no change of the graph is told of.
  const pqxx::result feed = tx.exec(
      "SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE 'feed\\_%'"
      " AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace)");
  const auto tell = [&](const char* verb) {
    for (const auto& row : feed)
      tx.exec(fmt::format("ALTER TABLE {} {} TRIGGER {}", row[0].c_str(), verb, row[1].c_str()));
  };
  tell("DISABLE");
  tx.exec(kIds);
  WriteDefinitions(tx);
  for (const char* sql : {kPeople, kUnits, kLinks, kRights}) {
    tx.exec(Filled(sql, shape));
    std::fputc('.', stderr);
  }
  tx.exec(kDropped);
  tell("ENABLE");
  tx.commit();
  pqxx::nontransaction plain(connection);
  for (const char* table : {"node", "account", "session", "repo_unit", "unit", "variable", "link", "node_grant", "audit"})
    plain.exec(fmt::format("VACUUM ANALYZE {}", table));
  std::fputs("\n", stderr);
}

}  // namespace pepeunit::bench
