-- Units that follow a repository move with its syncs a portion at a time, the repositories in turn: so nobody's many
-- units hold up those of others.
ALTER TABLE repo_unit
  -- The time of the sync with which units may still have to move (sync_time_ms); NULL: none has to.
  ADD COLUMN follow_due bigint,
  -- Its portions so far ended at this unit.
  ADD COLUMN follow_after uuid,
  -- When its next turn may begin: those that have waited longest come first.
  ADD COLUMN follow_turn timestamptz NOT NULL DEFAULT now();
CREATE INDEX repo_unit_by_follow_turn ON repo_unit (follow_turn) WHERE follow_due IS NOT NULL;
