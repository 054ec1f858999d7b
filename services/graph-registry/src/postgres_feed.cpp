#include "postgres_feed.h"

#include <algorithm>
#include <charconv>

#include "link_rows.h"
#include "rows.h"

namespace pepeunit::graph_registry {
namespace {

// graph_change.kind
constexpr int kOfNode = 1, kOfLink = 2, kOfGrants = 3;

FeedPlace ReadPlace(const pqxx::row& row, int first) {
  const auto at = static_cast<pqxx::row::size_type>(first);
  return {row[at].as<std::uint64_t>(), row[at + 1].as<std::int64_t>()};
}

// What is kept, and how far the feed may be read: before all transactions that still run, whatever they will change.
FeedBounds ReadBounds(pqxx::work& tx) {
  const auto row = tx.exec1(
      "SELECT pg_snapshot_xmin(s)::text, 0, pg_snapshot_xmax(s)::text, 0, f.xid::text, f.id"
      " FROM graph_change_forgotten f, pg_current_snapshot() s");
  return {ReadPlace(row, 0), ReadPlace(row, 2), ReadPlace(row, 4), {}};
}

// Who is told how something is now needs to be told once.
void Add(std::unordered_map<Uuid, FeedChange>& changes, const pqxx::row& row) {
  const int kind = row[2].as<int>();
  const Uuid id = ReadUuid(row[3]);
  FeedChange& change = changes[id];
  change.last = ReadPlace(row, 0);
  if (change.place == FeedPlace{}) change.place = change.last;
  change.id = id;
  change.link = kind == kOfLink;
  change.for_all = change.for_all || kind == kOfNode || kind == kOfLink;
  change.grants = change.grants || kind == kOfGrants;
  change.level = std::max(change.level, static_cast<access::Level>(row[4].as<int>()));
  for (const Uuid& user : ReadUuids(row[5])) change.people.push_back(user);
}

void ReadLinks(pqxx::work& tx, const std::vector<Uuid>& ids, FeedBatch* batch) {
  if (ids.empty()) return;
  tx.exec(kJoinAsWritten);
  const auto rows =
      tx.exec_params(LinkRowQuery("(SELECT * FROM link WHERE id = ANY ($1::uuid[])) l"), postgres::ArrayOf(ids));
  for (LinkRow& row : ReadLinkRows(rows)) {
    const Uuid id = *Uuid::Parse(row.link.id());
    batch->links.emplace(id, std::move(row));
  }
}

void ReadNodes(pqxx::work& tx, const std::vector<Uuid>& ids, const std::vector<Uuid>& watching, FeedBatch* batch) {
  for (const auto& row :
       tx.exec_params("SELECT " + NodeColumns("n") + ", " + FactColumns("n", "p", "0") + ", " + VersionColumns("u") +
                          " FROM node n LEFT JOIN node p ON p.id = n.parent_id LEFT JOIN unit u"
                          " ON u.id = n.id WHERE n.id = ANY ($1::uuid[])",
                      postgres::ArrayOf(ids))) {
    Columns columns(row);
    FeedNode node;
    node.node = ReadNode(columns);
    node.facts = ReadFacts(columns);
    node.version = ReadVersion(columns);
    batch->nodes.emplace(node.facts.id, std::move(node));
  }
  for (const auto& row : tx.exec_params(
           "SELECT n.id, g.subject_id, max(g.role) FROM node n JOIN node_grant g ON g.node_id IN (n.id, n.parent_id)"
           " WHERE n.id = ANY ($1::uuid[]) AND g.subject_kind = 1 AND g.subject_id = ANY ($2::uuid[]) GROUP BY 1, 2",
           postgres::ArrayOf(ids), postgres::ArrayOf(watching))) {
    const auto node = batch->nodes.find(ReadUuid(row[0]));
    if (node != batch->nodes.end())
      node->second.granted[ReadUuid(row[1])] = static_cast<access::Role>(row[2].as<int>());
  }
}

}  // namespace

std::string FeedPlace::ToString() const { return std::to_string(xid) + '-' + std::to_string(row); }

std::optional<FeedPlace> FeedPlace::Parse(std::string_view text) {
  FeedPlace place;
  const char* end = text.data() + text.size();
  const auto xid = std::from_chars(text.data(), end, place.xid);
  if (xid.ec != std::errc() || xid.ptr == end || *xid.ptr != '-') return std::nullopt;
  const auto row = std::from_chars(xid.ptr + 1, end, place.row);
  if (row.ec != std::errc() || row.ptr != end || place.ToString() != text) return std::nullopt;
  return place;
}

absl::StatusOr<FeedBounds> PostgresFeed::Bounds(const Uuid& viewer) {
  return pool_.Query<FeedBounds>("feed bounds", [&](pqxx::work& tx) -> absl::StatusOr<FeedBounds> {
    FeedBounds bounds = ReadBounds(tx);
    const auto made = tx.exec_params("SELECT made_in::text FROM account WHERE id = $1", viewer.ToString());
    if (!made.empty()) bounds.born.xid = made[0][0].as<std::uint64_t>();
    return bounds;
  });
}

absl::StatusOr<FeedBatch> PostgresFeed::Read(const FeedPlace& after, int limit, const std::vector<Uuid>& watching) {
  return pool_.Query<FeedBatch>("read feed", [&](pqxx::work& tx) -> absl::StatusOr<FeedBatch> {
    // One moment for all of it: rights of two moments together may be rights that nobody ever had.
    tx.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    FeedBatch batch;
    const FeedBounds bounds = ReadBounds(tx);
    batch.forgotten = bounds.forgotten;
    batch.end = std::max(after, bounds.now);
    if (after < batch.forgotten) return batch;  // whoever asked missed something
    const auto rows = tx.exec_params(
        "SELECT xid::text, id, kind, target_id, level, people FROM graph_change WHERE (xid, id) > ($1::text::xid8, $2)"
        " AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid, id LIMIT $3",
        std::to_string(after.xid), after.row, limit);
    if (rows.empty()) return batch;
    batch.more = rows.size() == static_cast<pqxx::result::size_type>(limit);
    if (batch.more) batch.end = ReadPlace(rows[rows.size() - 1], 0);
    std::unordered_map<Uuid, FeedChange> changes;
    for (const auto& row : rows) Add(changes, row);
    std::vector<Uuid> nodes, links;
    for (auto& [id, change] : changes) {
      (change.link ? links : nodes).push_back(id);
      batch.changes.push_back(std::move(change));
    }
    std::sort(batch.changes.begin(), batch.changes.end(),
              [](const FeedChange& a, const FeedChange& b) { return a.place < b.place; });
    ReadLinks(tx, links, &batch);
    for (const auto& [id, link] : batch.links) {
      nodes.push_back(link.output.facts.id);
      nodes.push_back(link.input.facts.id);
    }
    ReadNodes(tx, nodes, watching, &batch);
    return batch;
  });
}

absl::StatusOr<std::int64_t> PostgresFeed::Forget(int hours) {
  return pool_.Query<std::int64_t>("forget changes", [&](pqxx::work& tx) -> absl::StatusOr<std::int64_t> {
    // One replica at a time, so that the mark never lies before what is gone.
    tx.exec("SELECT 1 FROM graph_change_forgotten FOR UPDATE");
    // By age a row may go before one that lies before it: the mark is after both.
    const auto rows = tx.exec_params(
        "DELETE FROM graph_change WHERE (xid, id) IN (SELECT xid, id FROM graph_change"
        " WHERE at < now() - make_interval(hours => $1) AND xid < pg_snapshot_xmin(pg_current_snapshot())"
        " ORDER BY xid, id LIMIT 5000) RETURNING xid::text, id",
        hours);
    if (rows.empty()) return 0;
    FeedPlace last;
    for (const auto& row : rows) last = std::max(last, ReadPlace(row, 0));
    tx.exec_params(
        "UPDATE graph_change_forgotten SET xid = $1::text::xid8, id = $2 WHERE (xid, id) < ($1::text::xid8, $2)",
        std::to_string(last.xid), last.row);
    return static_cast<std::int64_t>(rows.size());
  });
}

}  // namespace pepeunit::graph_registry
