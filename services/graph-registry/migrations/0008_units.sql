-- Names of the keys that env.json has from env_example.json, as a JSON array: what a move changes in it can be told
-- without opening it. NULL: made before this was kept.
ALTER TABLE unit
  ADD COLUMN env_keys text,
  -- graph.v1.FollowProblem without its time, why a unit that follows could not be moved; NULL when it could.
  ADD COLUMN follow_problem bytea,
  ADD COLUMN follow_problem_at timestamptz;

-- Roles given to a unit go with it.
DELETE FROM node_grant g WHERE subject_kind = 2 AND NOT EXISTS (SELECT 1 FROM node n WHERE n.id = g.subject_id);
