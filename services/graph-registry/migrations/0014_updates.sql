-- How far each device is with the version that its unit stands at.
CREATE TABLE unit_update (
  id uuid PRIMARY KEY REFERENCES unit (id) ON DELETE CASCADE,
  -- Rises with each change; part of the unit's ETag.
  version bigint NOT NULL DEFAULT 1,
  -- The version that the device told last, and since when; empty: none yet.
  running_commit text NOT NULL DEFAULT '',
  running_at timestamptz,
  -- Of the last report that told something.
  sequence bigint NOT NULL DEFAULT 0,
  -- graph.v1.UpdateState
  state smallint NOT NULL DEFAULT 1,
  since timestamptz NOT NULL DEFAULT now(),
  -- When the device said something of it, or it was offered: what timeouts count from.
  heard_at timestamptz NOT NULL DEFAULT now(),
  -- Rises with each offer, over all versions, so that a device knows a new one from one that it tried.
  attempt integer NOT NULL DEFAULT 1,
  offered boolean NOT NULL DEFAULT true,
  offered_at timestamptz NOT NULL DEFAULT now(),
  failures integer NOT NULL DEFAULT 0,
  done_bytes bigint NOT NULL DEFAULT 0,
  total_bytes bigint NOT NULL DEFAULT 0,
  reason text NOT NULL DEFAULT ''
);
-- Those that may time out: offered, downloading, verifying, restarting.
CREATE INDEX unit_update_by_hearing ON unit_update (heard_at) WHERE state BETWEEN 2 AND 5;
INSERT INTO unit_update (id) SELECT id FROM unit;

-- Every unit has one.
CREATE FUNCTION unit_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO unit_update (id) SELECT a.id FROM after a;
  RETURN NULL;
END $$;
CREATE TRIGGER update_inserted AFTER INSERT ON unit REFERENCING NEW TABLE AS after
  FOR EACH STATEMENT EXECUTE FUNCTION unit_inserted();

CREATE TRIGGER feed_updated AFTER UPDATE ON unit_update FOR EACH ROW
  WHEN ((NEW.version) IS DISTINCT FROM (OLD.version))
  EXECUTE FUNCTION feed_part_updated();
