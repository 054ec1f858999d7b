-- Fingerprint of the SSH host key that the remote must have; empty: none yet, or no remote over SSH.
ALTER TABLE repo_unit ADD COLUMN ssh_host_key text NOT NULL DEFAULT '';
