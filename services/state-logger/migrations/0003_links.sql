-- What each link carried and did not, and what its next value depends on.
CREATE TABLE link_state (
  link_id uuid PRIMARY KEY,
  -- The unit and the output that it comes from, the input and the unit that it leads to; of a link that never carried
  -- only the first is known.
  unit_id uuid NOT NULL,
  output_id uuid,
  input_id uuid,
  target_id uuid,
  carried bigint NOT NULL DEFAULT 0,
  limited bigint NOT NULL DEFAULT 0,
  unfit bigint NOT NULL DEFAULT 0,
  beyond_fan_out bigint NOT NULL DEFAULT 0,
  -- When it last happened, Unix time in ms; 0: never.
  carried_ms bigint NOT NULL DEFAULT 0,
  limited_ms bigint NOT NULL DEFAULT 0,
  refused_ms bigint NOT NULL DEFAULT 0,
  -- The bucket of its rate; full when filled_ms is 0.
  tokens double precision NOT NULL DEFAULT 0,
  filled_ms bigint NOT NULL DEFAULT 0,
  -- Values from a profile of the unit that is older than this are void.
  void_before bigint NOT NULL DEFAULT 0,
  -- The newest value that came too fast, until due_ms; NULL when there is none.
  held_kind smallint,
  held_number double precision,
  held_text text,
  held_time_ms bigint,
  held_seq bigint,
  held_version bigint,
  due_ms bigint
) WITH (fillfactor = 50);
CREATE INDEX link_state_by_unit ON link_state (unit_id);
CREATE INDEX link_state_by_output ON link_state (output_id);
CREATE INDEX link_state_by_input ON link_state (input_id);
CREATE INDEX link_state_by_due ON link_state (due_ms) WHERE due_ms IS NOT NULL;
