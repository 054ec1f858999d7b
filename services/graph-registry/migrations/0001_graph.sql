-- The graph as adjacency tables: every node has a row in `node`, and one in the table of its type.
CREATE TABLE node (
  id uuid PRIMARY KEY,
  -- graph.v1.NodeType
  type smallint NOT NULL CHECK (type BETWEEN 1 AND 5),
  -- What the node hangs on and is never more open than: a variable's unit.
  parent_id uuid REFERENCES node (id) ON DELETE CASCADE,
  owner_id uuid NOT NULL,
  name text NOT NULL,
  -- common.v1.AccessLevel
  level smallint NOT NULL CHECK (level BETWEEN 1 AND 4),
  -- The ETag; rises with each change.
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX node_by_parent ON node (parent_id) WHERE parent_id IS NOT NULL;
-- Lists page by id, which begins with the time: what the owner has, and what a level opens.
CREATE INDEX node_by_owner ON node (owner_id, type, id);
CREATE INDEX node_by_level ON node (type, level, id);

CREATE TABLE account (
  id uuid PRIMARY KEY REFERENCES node (id) ON DELETE CASCADE,
  login text NOT NULL UNIQUE,
  password_hash text NOT NULL,
  administrator boolean NOT NULL DEFAULT false
);

CREATE TABLE session (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  -- SHA-256 of the refresh token, and of the one before it: its use betrays a theft.
  refresh_hash bytea NOT NULL UNIQUE,
  previous_hash bytea UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL
);
CREATE INDEX session_by_user ON session (user_id);

CREATE TABLE login_failure (
  login text PRIMARY KEY,
  failures integer NOT NULL,
  last_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX login_failure_by_time ON login_failure (last_at);

CREATE TABLE repo_unit (
  id uuid PRIMARY KEY REFERENCES node (id) ON DELETE CASCADE,
  url text NOT NULL,
  private boolean NOT NULL,
  sealed_credentials bytea NOT NULL DEFAULT '',
  default_branch text NOT NULL DEFAULT '',
  -- 0: by hand only.
  sync_period_s bigint NOT NULL,
  sync_requests bigint NOT NULL DEFAULT 1,
  -- The newest bus.v1.RepoSynced, and its time and state for comparison.
  sync bytea NOT NULL DEFAULT '',
  sync_time_ms bigint NOT NULL DEFAULT 0,
  -- bus.v1.SyncState
  sync_state smallint NOT NULL DEFAULT 0
);

CREATE TABLE unit (
  id uuid PRIMARY KEY REFERENCES node (id) ON DELETE CASCADE,
  -- The link to the repository, with what it records (G3). RESTRICT is R10.
  repo_unit_id uuid NOT NULL REFERENCES repo_unit (id) ON DELETE RESTRICT,
  commit_id text NOT NULL,
  tag text NOT NULL,
  branch text NOT NULL,
  follow boolean NOT NULL,
  token_generation integer NOT NULL DEFAULT 1,
  sealed_sync_key bytea NOT NULL,
  sealed_env bytea NOT NULL
);
CREATE INDEX unit_by_repo_unit ON unit (repo_unit_id, id);

CREATE TABLE variable (
  id uuid PRIMARY KEY REFERENCES node (id) ON DELETE CASCADE,
  unit_id uuid NOT NULL REFERENCES unit (id) ON DELETE CASCADE,
  -- graph.v1.VariableKind
  kind smallint NOT NULL,
  name text NOT NULL,
  -- Place in schema.json.
  position integer NOT NULL,
  -- graph.v1.Variable without its ids and level.
  definition bytea NOT NULL,
  UNIQUE (unit_id, name)
);

CREATE TABLE link (
  id uuid PRIMARY KEY,
  -- graph.v1.LinkType
  type smallint NOT NULL,
  output_id uuid NOT NULL REFERENCES variable (id) ON DELETE CASCADE,
  input_id uuid NOT NULL REFERENCES variable (id) ON DELETE CASCADE,
  creator_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (output_id, input_id)
);
CREATE INDEX link_by_input ON link (input_id);

CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  subject text NOT NULL,
  payload bytea NOT NULL,
  traceparent text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
