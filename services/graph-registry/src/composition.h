#pragma once

#include "accounts.h"
#include "adapters.h"
#include "departures.h"
#include "exports.h"
#include "followers.h"
#include "internals.h"
#include "invitations.h"
#include "links.h"
#include "neighbourhoods.h"
#include "nodes.h"
#include "oidc.h"
#include "openid_provider.h"
#include "people.h"
#include "personal_tokens.h"
#include "postgres_accounts.h"
#include "postgres_exports.h"
#include "postgres_feed.h"
#include "postgres_graph_view.h"
#include "postgres_identities.h"
#include "postgres_invitations.h"
#include "postgres_removals.h"
#include "postgres_rollouts.h"
#include "postgres_store.h"
#include "postgres_tokens.h"
#include "postgres_updates.h"
#include "repo_units.h"
#include "rollouts.h"
#include "settings.h"
#include "unit_updates.h"
#include "units.h"
#include "web.h"

// What the service is put together from. Each part lives as long as the one that it was made from.
namespace pepeunit::graph_registry {

// The other programs that it asks, each behind its port.
struct Neighbours {
  Neighbours(const Settings& settings, bus::Bus& bus)
      : crypto(settings.crypto_target, settings.server.instance_key),
        state_logger(settings.log_target, settings.server.instance_key),
        repo_sync(settings.repo_target, settings.server.instance_key),
        values(bus, settings.partitions) {}

  const rpc::Channel crypto, state_logger, repo_sync;
  CryptoSecretBox secrets{crypto};
  RepoSyncVersions versions{repo_sync};
  StateLogger logger{state_logger};
  BusValueStream values;
  CurlWeb web;
};

struct Storage {
  Storage(const Settings& settings, postgres::Pool& pool, outbox::Relay& relay, Neighbours& others)
      : people(pool, &relay, &others.logger),
        removals(pool, &relay, &others.logger),
        exports(pool),
        invitations(pool),
        tokens(pool),
        identities(pool),
        graph(pool, &relay, &others.logger, settings.quotas),
        updates(pool, &relay),
        rollouts(pool),
        view(pool),
        feed(pool) {}

  PostgresAccounts people;
  PostgresRemovals removals;
  PostgresExports exports;
  PostgresInvitations invitations;
  PostgresTokens tokens;
  PostgresIdentities identities;
  PostgresStore graph;
  PostgresUpdates updates;
  PostgresRollouts rollouts;
  PostgresGraphView view;
  PostgresFeed feed;
};

struct Domain {
  Domain(const Settings& settings, Storage& kept, Neighbours& others)
      : accounts(kept.people, others.secrets, settings.accounts),
        users(kept.people, kept.graph),
        departures(kept.removals, kept.people, accounts, users),
        exports({kept.people, kept.identities, kept.tokens, kept.graph, kept.exports}),
        invitations(kept.invitations),
        tokens(kept.tokens),
        oidc(kept.identities, accounts, OpenIdProviders(settings.oidc, others.web)),
        repo_units(kept.graph, others.secrets, others.versions, settings.standard),
        units(kept.graph, others.secrets, others.versions, others.values, others.logger, settings.device_url),
        updates(kept.graph, kept.updates, settings.update_timeouts),
        followers(kept.graph, kept.rollouts, others.versions, units),
        rollouts(kept.graph, kept.rollouts, others.versions, units),
        links(kept.graph, settings.link_bounds, settings.server.instance_key),
        nodes(kept.graph),
        neighbourhoods(kept.view),
        internals(kept.graph, kept.tokens) {}

  Accounts accounts;
  People users;
  Departures departures;
  Exports exports;
  Invitations invitations;
  PersonalTokens tokens;
  Oidc oidc;
  RepoUnits repo_units;
  Units units;
  UnitUpdates updates;
  Followers followers;
  Rollouts rollouts;
  Links links;
  Nodes nodes;
  Neighbourhoods neighbourhoods;
  Internals internals;
};

}  // namespace pepeunit::graph_registry
