-- When a link's value was last one too many for a report, Unix time in ms; 0: never.
ALTER TABLE link_state ADD COLUMN fan_out_ms bigint NOT NULL DEFAULT 0;
