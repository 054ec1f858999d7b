-- What units that follow a repository move with, and how.
ALTER TABLE repo_unit
  ADD COLUMN follow_mode smallint NOT NULL DEFAULT 1,  -- graph.v1.FollowMode
  ADD COLUMN pre_releases boolean NOT NULL DEFAULT false,
  ADD COLUMN rollout_plan bytea;                       -- graph.v1.RolloutPlan; NULL: all at once
ALTER TABLE unit ADD COLUMN rollout_group text NOT NULL DEFAULT '';

DROP TRIGGER feed_updated ON unit;
CREATE TRIGGER feed_updated AFTER UPDATE ON unit FOR EACH ROW
  WHEN ((NEW.repo_unit_id, NEW.commit_id, NEW.tag, NEW.branch, NEW.follow, NEW.follow_problem, NEW.rollout_group)
        IS DISTINCT FROM
        (OLD.repo_unit_id, OLD.commit_id, OLD.tag, OLD.branch, OLD.follow, OLD.follow_problem, OLD.rollout_group))
  EXECUTE FUNCTION feed_part_updated();

-- Units that go to another version in phases.
CREATE TABLE rollout (
  id uuid PRIMARY KEY,
  repo_unit_id uuid NOT NULL REFERENCES repo_unit (id) ON DELETE CASCADE,
  creator_id uuid,                    -- NULL: units that follow
  target bytea NOT NULL,              -- graph.v1.UnitVersion
  commit_id text NOT NULL,            -- of it
  plan bytea NOT NULL,                -- graph.v1.RolloutPlan
  state smallint NOT NULL DEFAULT 1,  -- graph.v1.RolloutState
  since timestamptz NOT NULL DEFAULT now(),
  reason text NOT NULL DEFAULT '',
  phase smallint NOT NULL DEFAULT 0,  -- from 0
  reached_at timestamptz,             -- when enough units of the phase had succeeded
  version bigint NOT NULL DEFAULT 1,  -- rises with each change of it or its units
  created_at timestamptz NOT NULL DEFAULT now(),
  -- When its next turn may begin.
  turn timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX rollout_by_repo_unit ON rollout (repo_unit_id, id);
-- Those in which something may happen by itself: running, paused, stopped, rolling back.
CREATE INDEX rollout_by_turn ON rollout (turn) WHERE state IN (1, 2, 3, 7);

CREATE TABLE rollout_unit (
  rollout_id uuid NOT NULL REFERENCES rollout (id) ON DELETE CASCADE,
  unit_id uuid NOT NULL REFERENCES unit (id) ON DELETE CASCADE,
  phase smallint NOT NULL,
  state smallint NOT NULL DEFAULT 1,  -- graph.v1.RolloutUnitState
  since timestamptz NOT NULL DEFAULT now(),
  reason text NOT NULL DEFAULT '',
  passed_over boolean NOT NULL DEFAULT false,
  from_version bytea NOT NULL,        -- graph.v1.UnitVersion
  PRIMARY KEY (rollout_id, unit_id)
);
CREATE INDEX rollout_unit_by_state ON rollout_unit (rollout_id, phase, state, unit_id);
CREATE INDEX rollout_unit_by_unit ON rollout_unit (unit_id);

-- Who watches the repository learns that there is something to look at.
CREATE FUNCTION feed_rollout_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO graph_change (kind, target_id) VALUES (1, NEW.repo_unit_id);
  RETURN NULL;
END $$;
CREATE TRIGGER feed_changed AFTER INSERT OR UPDATE OF version ON rollout
  FOR EACH ROW EXECUTE FUNCTION feed_rollout_changed();
