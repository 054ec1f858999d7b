-- Who watches a repository is told how far its sync is: each event of repo-sync has another time.
DROP TRIGGER feed_updated ON repo_unit;
CREATE TRIGGER feed_updated AFTER UPDATE ON repo_unit FOR EACH ROW
  WHEN ((NEW.default_branch, NEW.sync_state, NEW.sync_time_ms) IS DISTINCT FROM
        (OLD.default_branch, OLD.sync_state, OLD.sync_time_ms))
  EXECUTE FUNCTION feed_part_updated();
