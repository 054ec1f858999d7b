-- The keys that seal fields and make tokens, each wrapped by the master key, which is never stored.
CREATE SEQUENCE data_key_id AS bigint MINVALUE 1 MAXVALUE 4294967295;

CREATE TABLE data_key (
    -- Part of every ciphertext and token header: never used again.
    id bigint PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),
    purpose text NOT NULL CHECK (purpose IN ('field', 'unit_token', 'unit_signature', 'access_signature')),
    -- Format byte, nonce, AES-256-GCM ciphertext and tag; bound to id and purpose.
    wrapped bytea NOT NULL CHECK (octet_length(wrapped) BETWEEN 29 AND 256),
    -- Tells which master key wrapped it, without telling the key.
    master_fingerprint text NOT NULL,
    -- New ciphertexts and tokens are made with the active key; the others only open old ones.
    active boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Replicas that start together agree on one key per purpose.
CREATE UNIQUE INDEX data_key_one_active ON data_key (purpose) WHERE active;
