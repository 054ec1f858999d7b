-- repo.v1.RefChecks, as of the last sync that was not unchanged.
ALTER TABLE repository ADD COLUMN checks bytea NOT NULL DEFAULT '';

-- What the last syncs came to.
CREATE TABLE sync (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  repository_id uuid NOT NULL REFERENCES repository (id) ON DELETE CASCADE,
  record bytea NOT NULL  -- repo.v1.SyncRecord
);
CREATE INDEX sync_by_repository ON sync (repository_id, id);
