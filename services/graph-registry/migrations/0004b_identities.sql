-- Accounts elsewhere with which users sign in (OpenID Connect): issuer and subject name a person for good.
CREATE TABLE identity (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  -- The name of the provider in the configuration, when it was linked.
  provider text NOT NULL,
  issuer text NOT NULL,
  subject text NOT NULL,
  -- The person's name there, when it was linked.
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (issuer, subject)
);
CREATE INDEX identity_by_user ON identity (user_id, id);

-- Sign-ins that were begun and not finished. What nonce and code verifier are made from lies half here and half in the
-- browser, so neither alone is of any use.
CREATE TABLE oidc_flow (
  -- SHA-256 of the state.
  state_hash bytea PRIMARY KEY,
  -- SHA-256 of the browser's secret.
  secret_hash bytea NOT NULL,
  provider text NOT NULL,
  salt bytea NOT NULL,
  -- Whoever links an account; NULL: a sign-in.
  user_id uuid REFERENCES account (id) ON DELETE CASCADE,
  client_address text NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX oidc_flow_by_address ON oidc_flow (client_address);
CREATE INDEX oidc_flow_by_time ON oidc_flow (expires_at);
CREATE INDEX oidc_flow_by_user ON oidc_flow (user_id);
