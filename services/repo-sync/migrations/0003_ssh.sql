-- Fingerprints of SSH host keys: of the one that the remote must have (as the graph says, else the first that it showed),
-- and of the one that it showed last. Empty: none yet, or no remote over SSH.
ALTER TABLE repository
  ADD COLUMN host_key text NOT NULL DEFAULT '',
  ADD COLUMN shown_host_key text NOT NULL DEFAULT '';
