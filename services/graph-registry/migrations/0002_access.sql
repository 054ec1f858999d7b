-- A role given to somebody on a node; on a unit it holds for its variables too (A3, A4).
CREATE TABLE node_grant (
  node_id uuid NOT NULL REFERENCES node (id) ON DELETE CASCADE,
  -- graph.v1.SubjectKind; who it is need not exist here: a user of another instance does not.
  subject_kind smallint NOT NULL CHECK (subject_kind BETWEEN 1 AND 3),
  subject_id uuid NOT NULL,
  -- graph.v1.Role
  role smallint NOT NULL CHECK (role BETWEEN 1 AND 4),
  -- The node's, for lists by subject.
  node_type smallint NOT NULL,
  granted_by uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (node_id, subject_kind, subject_id)
);
CREATE INDEX node_grant_by_subject ON node_grant (subject_kind, subject_id, node_type, node_id);

-- Who did what to which node or right. What it says of the node is as it was then: nodes go, records stay.
CREATE TABLE audit (
  -- Version 7: in order of time.
  id uuid PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  -- NULL: the instance itself.
  actor_id uuid,
  action text NOT NULL,
  node_id uuid NOT NULL,
  node_type smallint NOT NULL,
  node_name text NOT NULL,
  owner_id uuid NOT NULL,
  details jsonb NOT NULL,
  client_address text NOT NULL,
  trace_id text NOT NULL
);
CREATE INDEX audit_by_node ON audit (node_id, id);
CREATE INDEX audit_by_owner ON audit (owner_id, id);
CREATE INDEX audit_by_actor ON audit (actor_id, id);

-- Append-only, also for the service's own role: records may go when they are old, and for no other reason.
CREATE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND OLD.at < now() - interval '30 days' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'the audit is append-only';
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION keep_audit();
CREATE TRIGGER audit_is_not_truncated BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION keep_audit();

-- The Idempotency-Key of a request that made a node: the same request again gets the same node.
CREATE TABLE idempotency (
  user_id uuid NOT NULL,
  key text NOT NULL,
  -- SHA-256 of the request.
  request_hash bytea NOT NULL,
  made_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_by_time ON idempotency (created_at);
