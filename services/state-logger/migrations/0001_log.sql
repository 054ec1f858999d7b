-- How far the stream VALUES has been applied, partition by partition. It moves in the transaction that stores the
-- values, and only from the position that the writer expects: that is what makes each value stored exactly once.
CREATE TABLE partition_position (
  partition integer PRIMARY KEY,
  applied bigint NOT NULL DEFAULT 0
);

-- The replicas that live, so that they share the partitions.
CREATE TABLE member (
  id uuid PRIMARY KEY,
  seen_at timestamptz NOT NULL DEFAULT now()
);

-- The history. `ord` is the place within the message at `stream_seq`. Partitions by month are made when needed.
CREATE TABLE reading (
  variable_id uuid NOT NULL,
  time timestamptz NOT NULL,
  stream_seq bigint NOT NULL,
  ord integer NOT NULL,
  -- bus.v1.Scalar's kind: 1 number, 2 boolean, 3 text, 4 JSON
  kind smallint NOT NULL,
  number double precision,
  text text
) PARTITION BY RANGE (time);
CREATE INDEX reading_by_variable ON reading (variable_id, time, stream_seq, ord);

-- The newest value of each variable, inputs and outputs; a higher position in the stream wins.
CREATE TABLE current_value (
  variable_id uuid PRIMARY KEY,
  unit_id uuid NOT NULL,
  input boolean NOT NULL,
  kind smallint NOT NULL,
  number double precision,
  text text,
  time timestamptz NOT NULL,
  stream_seq bigint NOT NULL
);
CREATE INDEX current_value_by_unit ON current_value (unit_id);

-- What each device last told of itself, and the highest sequence that was taken from it.
CREATE TABLE unit_state (
  unit_id uuid PRIMARY KEY,
  state text NOT NULL DEFAULT '',
  last_seen timestamptz NOT NULL,
  sequence bigint NOT NULL,
  request_tag bytea NOT NULL,
  stream_seq bigint NOT NULL
);

-- Variables and units that are gone: what is still in the stream for them is not stored any more.
CREATE TABLE removed (
  id uuid PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now()
);
