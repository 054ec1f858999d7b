-- Roles that read histories over SQL, and for whom: pepeunit-caller of rpc::Caller.
CREATE TABLE sql_reader (
  name text PRIMARY KEY,
  caller text NOT NULL,
  refreshed_at timestamptz
);
-- What each may read.
CREATE TABLE sql_output (
  reader text NOT NULL REFERENCES sql_reader (name) ON DELETE CASCADE,
  variable_id uuid NOT NULL,
  variable text NOT NULL,
  unit_id uuid NOT NULL,
  unit text NOT NULL,
  repo_unit_id uuid NOT NULL,
  measure text NOT NULL,
  PRIMARY KEY (reader, variable_id)
);
-- Also through the views, which read with the rights of their owner, and for whom the owner himself would be let in.
ALTER TABLE sql_output ENABLE ROW LEVEL SECURITY;
ALTER TABLE sql_output FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON sql_output USING (reader = current_user OR pg_get_userbyid((SELECT relowner FROM pg_class
  WHERE oid = 'sql_output'::regclass)) = current_user);

CREATE VIEW outputs WITH (security_barrier) AS
  SELECT variable_id, variable, unit_id, unit, repo_unit_id, measure FROM sql_output WHERE reader = current_user;

-- `value` is a number, or 1 and 0 for true and false; `text` what else is kept.
CREATE VIEW readings WITH (security_barrier) AS
  SELECT r.time, o.unit, o.variable, r.number AS value, r.text, o.unit_id, o.variable_id
  FROM sql_output o JOIN series s USING (variable_id) JOIN reading r ON r.series = s.id AND r.time >= s.cutoff
  WHERE o.reader = current_user;

-- What is summed up by stretches that are over: `mean`, `minimum`, `maximum` and `last` are empty where there are no
-- numbers.
DO $$
DECLARE stretch record;
BEGIN
  FOR stretch IN VALUES ('minutes', 60), ('quarters', 900), ('hours', 3600), ('days', 86400) LOOP
    EXECUTE format(
      'CREATE VIEW %I WITH (security_barrier) AS'
      ' SELECT r.time, o.unit, o.variable, r.count, r.sum / nullif(r.count, 0) AS mean, r.minimum, r.maximum, r.last,'
      ' o.unit_id, o.variable_id'
      ' FROM sql_output o JOIN series s USING (variable_id) JOIN rollup_%s r ON r.series = s.id AND r.time >= s.cutoff'
      ' WHERE o.reader = current_user', stretch.column1, stretch.column2);
  END LOOP;
END $$;
