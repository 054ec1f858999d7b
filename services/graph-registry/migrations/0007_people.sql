-- Invitations to sign up, by the SHA-256 of their secrets. Each is good for one user.
CREATE TABLE invitation (
  id uuid PRIMARY KEY,
  secret_hash bytea NOT NULL UNIQUE,
  note text NOT NULL,
  -- Users go, and what they did stays.
  created_by uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  used_by uuid,
  used_at timestamptz
);
CREATE INDEX invitation_by_end ON invitation (expires_at);

-- What a sign-in elsewhere was begun with, for who comes for the first time; empty: no invitation.
ALTER TABLE oidc_flow ADD COLUMN invitation_hash bytea NOT NULL DEFAULT '';

-- The secret with which a user gives himself a new password, as a SHA-256: the newest one of each.
CREATE TABLE password_reset (
  user_id uuid PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
  secret_hash bytea NOT NULL UNIQUE,
  expires_at timestamptz NOT NULL
);

-- Lists of users by the beginning of their login.
CREATE INDEX account_by_login ON account (login text_pattern_ops);

-- Beside logins, `login` holds addresses that guess, as `@` and the address: no login begins so.
COMMENT ON COLUMN login_failure.login IS 'a login, or @ and an address';
