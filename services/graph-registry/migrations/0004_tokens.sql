-- Personal access tokens: what programs sign in with. A caller who came with one is known by its id, as by that of a
-- session.
CREATE TABLE personal_token (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  name text NOT NULL,
  -- Bits by graph.v1.TokenScope: 2 is READ.
  scopes smallint NOT NULL,
  -- SHA-256; the token has 256 random bits, so nothing slower is needed.
  token_hash bytea NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  last_used_at timestamptz
);
CREATE INDEX personal_token_by_user ON personal_token (user_id, id);
