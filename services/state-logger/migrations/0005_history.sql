-- A variable with a history. Readings name it by its number, which is never given again: without its row here what is
-- left of them belongs to nobody, is not shown, and goes when its day is written anew.
CREATE TABLE series (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  variable_id uuid NOT NULL UNIQUE,
  unit_id uuid NOT NULL,
  -- As graph-registry told it last.
  owner_id uuid,
  keep_s bigint NOT NULL DEFAULT 0,
  -- What is older is not shown any more.
  cutoff timestamptz NOT NULL DEFAULT '-infinity'
);
CREATE INDEX series_by_unit ON series (unit_id);

ALTER TABLE reading RENAME TO reading_of_months;
ALTER INDEX reading_by_variable RENAME TO reading_of_months_by_variable;

-- The history, a table a day (UTC). A day is filled in the order in which readings come; when it is over it is written
-- anew in the order of its index (`reading_day`).
CREATE TABLE reading (
  time timestamptz NOT NULL,
  -- The message that brought it, and its place there.
  stream_seq bigint NOT NULL,
  -- Of a window its mean or median.
  number double precision,
  series integer NOT NULL,
  ord smallint NOT NULL,
  -- bus.v1.Scalar's kind: 1 number, 2 boolean, 3 text, 4 JSON
  kind smallint NOT NULL,
  text text,
  -- Of a window that begins at `time`: count, sum, least, greatest and last of its readings, its length in seconds, and
  -- when the last one was measured (Unix time in ms).
  stats double precision[]
) PARTITION BY RANGE (time);
CREATE INDEX reading_by_series ON reading (series, time);
-- For who asks by time alone: the roll-ups.
CREATE INDEX reading_by_time ON reading USING brin (time) WITH (pages_per_range = 32);

CREATE TABLE reading_day (
  day date PRIMARY KEY,
  -- When it was last written in the order of its index; NULL: it is as it came.
  sorted_at timestamptz,
  -- What it had then.
  rows bigint
);

-- What a stretch of 1 minute, 15 minutes, 1 hour or 1 day holds of a series; a table a month (UTC). All of it follows
-- from `reading`, each width from the one before it.
CREATE TABLE rollup_60 (
  time timestamptz NOT NULL,
  -- Readings that went in, those behind a window's mean too; and rows of `reading`.
  count bigint NOT NULL,
  rows bigint NOT NULL,
  -- NULL where there are no numbers.
  sum double precision,
  minimum double precision,
  maximum double precision,
  last double precision,
  minimum_at timestamptz,
  maximum_at timestamptz,
  last_at timestamptz NOT NULL,
  series integer NOT NULL,
  PRIMARY KEY (series, time)
) PARTITION BY RANGE (time);
CREATE TABLE rollup_900 (LIKE rollup_60, PRIMARY KEY (series, time)) PARTITION BY RANGE (time);
CREATE TABLE rollup_3600 (LIKE rollup_60, PRIMARY KEY (series, time)) PARTITION BY RANGE (time);
CREATE TABLE rollup_86400 (LIKE rollup_60, PRIMARY KEY (series, time)) PARTITION BY RANGE (time);
CREATE TABLE rollup_month (month date PRIMARY KEY);

-- Up to where they are made, and being made. What is stored before `pending` of the minutes is in `rollup_late` too.
CREATE TABLE rollup_mark (
  width integer PRIMARY KEY,
  done timestamptz NOT NULL,
  pending timestamptz NOT NULL
);
INSERT INTO rollup_mark
  SELECT w, date_bin(make_interval(secs => w), now(), 'epoch'), date_bin(make_interval(secs => w), now(), 'epoch')
  FROM unnest(ARRAY[60, 900, 3600, 86400]) AS w;
-- Stretches to be made anew.
CREATE TABLE rollup_late (
  width integer NOT NULL,
  time timestamptz NOT NULL,
  series integer NOT NULL
);
CREATE INDEX rollup_late_by_time ON rollup_late (width, time);
-- For who asks for a history.
CREATE INDEX rollup_late_by_series ON rollup_late (series, width, time);

-- Windows that are open, of variables of which a mean or median is kept.
CREATE TABLE open_window (
  variable_id uuid NOT NULL,
  unit_id uuid NOT NULL,
  start_ms bigint NOT NULL,
  width_ms bigint NOT NULL,
  -- common.v1.LoggingMode
  mode smallint NOT NULL,
  count bigint NOT NULL,
  sum double precision NOT NULL,
  minimum double precision NOT NULL,
  maximum double precision NOT NULL,
  last double precision NOT NULL,
  last_ms bigint NOT NULL,
  samples bytea NOT NULL,
  due_ms bigint NOT NULL,
  PRIMARY KEY (variable_id, start_ms, width_ms)
) WITH (fillfactor = 50);
CREATE INDEX open_window_by_due ON open_window (due_ms);

-- The reading that was kept last, of variables of which not all are.
CREATE TABLE kept_value (
  variable_id uuid PRIMARY KEY,
  time_ms bigint NOT NULL,
  kind smallint NOT NULL,
  number double precision,
  text text
) WITH (fillfactor = 50);

-- What is there already.
INSERT INTO series (variable_id, unit_id)
  SELECT DISTINCT ON (r.variable_id) r.variable_id, coalesce(c.unit_id, '00000000-0000-0000-0000-000000000000')
  FROM reading_of_months r LEFT JOIN current_value c USING (variable_id);
DO $$
DECLARE day date;
BEGIN
  FOR day IN SELECT DISTINCT (time AT TIME ZONE 'UTC')::date FROM reading_of_months LOOP
    EXECUTE format('CREATE TABLE reading_%s PARTITION OF reading FOR VALUES FROM (%L) TO (%L)', to_char(day, 'YYYYMMDD'),
                   day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
    INSERT INTO reading_day (day) VALUES (day);
  END LOOP;
END $$;
INSERT INTO reading (time, stream_seq, number, series, ord, kind, text)
  SELECT r.time, r.stream_seq, r.number, s.id, r.ord, r.kind, r.text
  FROM reading_of_months r JOIN series s USING (variable_id) ORDER BY s.id, r.time;
INSERT INTO rollup_late (width, time, series) SELECT DISTINCT 60, date_bin('60 s', time, 'epoch'), series FROM reading;
DROP TABLE reading_of_months;
