-- Rises with each change of what unit-ingest caches of the unit.
ALTER TABLE unit ADD COLUMN profile_version bigint NOT NULL DEFAULT 1;

-- What a maintainer closed of an input, whatever schema.json allows.
ALTER TABLE variable
  ADD COLUMN accepts_people boolean NOT NULL DEFAULT true,
  ADD COLUMN accepts_links boolean NOT NULL DEFAULT true;

-- The links that somebody drew, for when he loses what they carry by.
CREATE INDEX link_by_creator ON link (creator_id);
