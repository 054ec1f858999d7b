-- Which stream the positions are positions in: one made anew begins again at 1.
CREATE TABLE stream (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  created_ns bigint NOT NULL
);

-- Replicas are counted by the locks that their sessions hold.
DROP TABLE member;

-- Rows that change all the time: with room on their page a new version needs no new index entries (HOT).
ALTER TABLE current_value SET (fillfactor = 50);
ALTER TABLE unit_state SET (fillfactor = 50);
