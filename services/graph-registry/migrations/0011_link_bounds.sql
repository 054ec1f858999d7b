-- When a bound last held back values of a link, to some minutes: state-logger tells it.
ALTER TABLE link ADD COLUMN rate_hit_at timestamptz, ADD COLUMN fan_out_hit_at timestamptz;
