-- SSH public keys, a line each, by one of which versions have to be signed; empty: none has to be.
ALTER TABLE repo_unit ADD COLUMN signing_keys text NOT NULL DEFAULT '';
