-- The repository that a unit is made from, beside its level and owner: what a viewer may see of a repository's units is
-- then found in ranges of indexes, however many of them he may not see. Kept by the trigger alone.
ALTER TABLE node ADD COLUMN repo_unit_id uuid;
UPDATE node n SET repo_unit_id = u.repo_unit_id FROM unit u WHERE u.id = n.id;

CREATE FUNCTION note_repo_unit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE node SET repo_unit_id = NEW.repo_unit_id WHERE id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER unit_notes_repo_unit AFTER INSERT OR UPDATE OF repo_unit_id ON unit
  FOR EACH ROW EXECUTE FUNCTION note_repo_unit();

CREATE INDEX node_by_repo_unit_level ON node (repo_unit_id, level, id) WHERE repo_unit_id IS NOT NULL;
CREATE INDEX node_by_repo_unit_owner ON node (repo_unit_id, owner_id, id) WHERE repo_unit_id IS NOT NULL;
-- What others may see of somebody's nodes.
CREATE INDEX node_by_owner_level ON node (owner_id, type, level, id);
-- Names by their beginning: of what a level opens, and of what the viewer owns.
CREATE INDEX node_by_level_name ON node (level, lower(name) text_pattern_ops);
CREATE INDEX node_by_owner_name ON node (owner_id, lower(name) text_pattern_ops);
