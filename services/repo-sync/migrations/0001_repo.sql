CREATE TABLE repository (
  id uuid PRIMARY KEY,
  url text NOT NULL,
  -- By crypto, with the context `graph.repo_unit.credentials:<id>`; empty for a public remote.
  sealed_credentials bytea NOT NULL,
  -- 0: by hand only.
  sync_period_s bigint NOT NULL,
  -- How often somebody asked for a sync, and how many of these a finished sync has answered.
  sync_requests bigint NOT NULL,
  done_requests bigint NOT NULL DEFAULT 0,
  -- bus.v1.SyncState
  state smallint NOT NULL DEFAULT 1,
  error text NOT NULL DEFAULT '',
  -- bus.v1.RepoSynced with the problems only.
  problems bytea NOT NULL DEFAULT '',
  size_bytes bigint NOT NULL DEFAULT 0,
  remote_head text NOT NULL DEFAULT '',
  -- The last good sync.
  synced_at timestamptz,
  -- null: only when asked.
  next_sync_at timestamptz DEFAULT now(),
  -- In a row.
  failures integer NOT NULL DEFAULT 0,
  -- Of the last event; it rises strictly.
  event_time_ms bigint NOT NULL DEFAULT 0,
  -- Fences a worker that lost its lease.
  lease bigint NOT NULL DEFAULT 0,
  leased_until timestamptz NOT NULL DEFAULT '-infinity'
);
CREATE INDEX repository_by_next_sync ON repository (next_sync_at);

CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  subject text NOT NULL,
  payload bytea NOT NULL,
  traceparent text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
