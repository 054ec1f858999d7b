-- common.v1.Logging: what a maintainer chose instead of the policy of schema.json; NULL: nothing.
ALTER TABLE variable ADD COLUMN logging bytea;
