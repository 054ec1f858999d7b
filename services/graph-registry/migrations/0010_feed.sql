-- What changed in the graph, for those who watch it. Written by triggers alone, so that no code path and no cascade can
-- forget it, and in the transaction of the change. A row says that something is different now, not what: whoever reads
-- it looks at the graph as it is then. Several rows for one change do no harm.
CREATE TABLE graph_change (
  -- Transactions do not end in the order of their numbers, nor of `id`: only those before all that still run are read,
  -- and then nothing can come before what was read. So (xid, id) is the place in the feed.
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  id bigint GENERATED ALWAYS AS IDENTITY,
  at timestamptz NOT NULL DEFAULT now(),
  -- 1: a node; 2: a link; 3: the roles given on a node; 4: those given on its parent.
  kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 4),
  target_id uuid NOT NULL,
  -- Who may have seen it before and may not any more: everybody whom this level let in (0: nobody by that) ...
  level smallint NOT NULL DEFAULT 0,
  -- ... and these, by ownership or a role. Of kinds 3 and 4 also those who were given one.
  people uuid[] NOT NULL DEFAULT '{}',
  PRIMARY KEY (xid, id)
);
CREATE INDEX graph_change_by_time ON graph_change (at);

-- The place up to which changes were deleted.
CREATE TABLE graph_change_forgotten (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  xid xid8 NOT NULL DEFAULT '0',
  id bigint NOT NULL DEFAULT 0
);
INSERT INTO graph_change_forgotten DEFAULT VALUES;

-- Whom ownership and roles let see a node. (In plpgsql, for that keeps the plans of its queries.)
CREATE FUNCTION feed_people(node_id uuid) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT n.owner_id || ARRAY(SELECT g.subject_id FROM node_grant g WHERE g.node_id IN (n.id, n.parent_id)
                                                                             AND g.subject_kind = 1)
          FROM node n WHERE n.id = $1);
END $$;

-- The links that touch a node or what hangs on it. By index for each end, however many links there are.
CREATE FUNCTION feed_links(node_id uuid) RETURNS TABLE (id uuid) LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY
  SELECT DISTINCT f.id
  FROM (SELECT $1 AS id UNION ALL SELECT n.id FROM node n WHERE n.parent_id = $1) e,
       LATERAL (SELECT l.id FROM link l WHERE l.output_id = e.id UNION ALL
                SELECT l.id FROM link l WHERE l.input_id = e.id OFFSET 0) f;
END $$;

CREATE FUNCTION feed_node_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO graph_change (kind, target_id) SELECT 1, a.id FROM after a;
  RETURN NULL;
END $$;
CREATE TRIGGER feed_inserted AFTER INSERT ON node REFERENCING NEW TABLE AS after
  FOR EACH STATEMENT EXECUTE FUNCTION feed_node_inserted();

-- A variable is never more open than its unit, so its own level says who saw it. Closing takes it from whom only the
-- level let in, another owner from the one before. A variable's level and owner decide on its links too; those of its unit
-- do not, for what they change of the variable is written into it.
CREATE FUNCTION feed_node_updated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  lost_level smallint := CASE WHEN NEW.level < OLD.level THEN OLD.level ELSE 0 END;
  lost_people uuid[] := CASE WHEN NEW.owner_id <> OLD.owner_id THEN ARRAY[OLD.owner_id] ELSE '{}' END;
BEGIN
  INSERT INTO graph_change (kind, target_id, level, people) VALUES (1, OLD.id, lost_level, lost_people);
  IF OLD.parent_id IS NOT NULL AND (NEW.level <> OLD.level OR NEW.owner_id <> OLD.owner_id) THEN
    INSERT INTO graph_change (kind, target_id, level, people)
    SELECT 2, f.id, lost_level, lost_people FROM feed_links(OLD.id) f;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER feed_updated AFTER UPDATE ON node FOR EACH ROW
  WHEN ((NEW.name, NEW.level, NEW.owner_id, NEW.version) IS DISTINCT FROM
        (OLD.name, OLD.level, OLD.owner_id, OLD.version))
  EXECUTE FUNCTION feed_node_updated();

-- Before anything of it is gone: the roles that let people see it, what hangs on it and what is linked to that.
CREATE FUNCTION feed_node_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.parent_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM node WHERE id = OLD.parent_id) THEN
    RETURN OLD;  -- it goes with its unit, which told of it
  END IF;
  INSERT INTO graph_change (kind, target_id, level, people)
  SELECT 1, n.id, n.level, feed_people(n.id) FROM node n WHERE n.id = OLD.id OR n.parent_id = OLD.id;
  INSERT INTO graph_change (kind, target_id, level, people)
  WITH touched AS MATERIALIZED (SELECT l.id, l.output_id, l.input_id FROM feed_links(OLD.id) f JOIN link l USING (id)),
       ends AS MATERIALIZED (
         SELECT n.id, n.level, feed_people(n.id) AS people FROM node n
         WHERE n.id IN (SELECT t.output_id FROM touched t UNION SELECT t.input_id FROM touched t))
  SELECT 2, t.id, greatest(o.level, i.level), o.people || i.people
  FROM touched t JOIN ends o ON o.id = t.output_id JOIN ends i ON i.id = t.input_id;
  RETURN OLD;
END $$;
CREATE TRIGGER feed_deleted BEFORE DELETE ON node FOR EACH ROW EXECUTE FUNCTION feed_node_deleted();

CREATE FUNCTION feed_link_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO graph_change (kind, target_id) SELECT 2, a.id FROM after a;
  RETURN NULL;
END $$;
CREATE TRIGGER feed_inserted AFTER INSERT ON link REFERENCING NEW TABLE AS after
  FOR EACH STATEMENT EXECUTE FUNCTION feed_link_changed();
CREATE TRIGGER feed_updated AFTER UPDATE ON link REFERENCING NEW TABLE AS after
  FOR EACH STATEMENT EXECUTE FUNCTION feed_link_changed();

-- Nothing when an end is gone, for that told of the link.
CREATE FUNCTION feed_link_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO graph_change (kind, target_id, level, people)
  SELECT 2, OLD.id, greatest(o.level, i.level), feed_people(o.id) || feed_people(i.id)
  FROM node o, node i WHERE o.id = OLD.output_id AND i.id = OLD.input_id;
  RETURN OLD;
END $$;
CREATE TRIGGER feed_deleted BEFORE DELETE ON link FOR EACH ROW EXECUTE FUNCTION feed_link_deleted();

-- A role concerns whom it is given, at the node and what hangs on it, and who governs the node. Links hang on it too.
CREATE FUNCTION feed_granted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO graph_change (kind, target_id, people)
  SELECT 3, g.node_id, CASE g.subject_kind WHEN 1 THEN ARRAY[g.subject_id] ELSE '{}' END
  FROM changed g JOIN node n ON n.id = g.node_id;
  INSERT INTO graph_change (kind, target_id, people)
  SELECT 4, n.id, ARRAY[g.subject_id] FROM changed g JOIN node n ON n.parent_id = g.node_id WHERE g.subject_kind = 1;
  INSERT INTO graph_change (kind, target_id, people)
  SELECT 2, l.id, CASE g.subject_kind WHEN 1 THEN ARRAY[g.subject_id] ELSE '{}' END
  FROM changed g, LATERAL feed_links(g.node_id) l;
  RETURN NULL;
END $$;
CREATE TRIGGER feed_inserted AFTER INSERT ON node_grant REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION feed_granted();
CREATE TRIGGER feed_updated AFTER UPDATE ON node_grant REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION feed_granted();
CREATE TRIGGER feed_deleted AFTER DELETE ON node_grant REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION feed_granted();

-- What an input accepts, and of what type it is, decides on its links.
CREATE FUNCTION feed_variable_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO graph_change (kind, target_id) SELECT 1, OLD.id UNION ALL SELECT 2, f.id FROM feed_links(OLD.id) f;
  RETURN NULL;
END $$;
CREATE TRIGGER feed_updated AFTER UPDATE ON variable FOR EACH ROW
  WHEN ((NEW.accepts_people, NEW.accepts_links, NEW.definition) IS DISTINCT FROM
        (OLD.accepts_people, OLD.accepts_links, OLD.definition))
  EXECUTE FUNCTION feed_variable_updated();

CREATE FUNCTION feed_part_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO graph_change (kind, target_id) VALUES (1, OLD.id);
  RETURN NULL;
END $$;
CREATE TRIGGER feed_updated AFTER UPDATE ON unit FOR EACH ROW
  WHEN ((NEW.repo_unit_id, NEW.commit_id, NEW.tag, NEW.branch, NEW.follow, NEW.follow_problem) IS DISTINCT FROM
        (OLD.repo_unit_id, OLD.commit_id, OLD.tag, OLD.branch, OLD.follow, OLD.follow_problem))
  EXECUTE FUNCTION feed_part_updated();
CREATE TRIGGER feed_updated AFTER UPDATE ON repo_unit FOR EACH ROW
  WHEN ((NEW.default_branch, NEW.sync_state) IS DISTINCT FROM (OLD.default_branch, OLD.sync_state))
  EXECUTE FUNCTION feed_part_updated();

-- What somebody is decides on the links that he drew.
CREATE FUNCTION feed_account_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO graph_change (kind, target_id)
  SELECT 1, OLD.id WHERE TG_OP = 'UPDATE' UNION ALL SELECT 2, l.id FROM link l WHERE l.creator_id = OLD.id;
  RETURN NULL;
END $$;
CREATE TRIGGER feed_updated AFTER UPDATE ON account FOR EACH ROW
  WHEN ((NEW.administrator, NEW.blocked, NEW.devices_stopped) IS DISTINCT FROM
        (OLD.administrator, OLD.blocked, OLD.devices_stopped))
  EXECUTE FUNCTION feed_account_changed();
CREATE TRIGGER feed_deleted AFTER DELETE ON account FOR EACH ROW EXECUTE FUNCTION feed_account_changed();
