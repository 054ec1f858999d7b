-- common.v1.Logging: what a maintainer chose instead of the policy of schema.json; NULL: nothing.
ALTER TABLE variable ADD COLUMN logging bytea;

-- For who asks for histories by the names of outputs alone.
CREATE INDEX variable_by_name ON variable (name) WHERE kind = 2;
