-- The transaction that made an account: nobody is told of what went before he was there (graph_change.xid). '0' for those
-- that were there before this was kept.
ALTER TABLE account ADD COLUMN made_in xid8 NOT NULL DEFAULT '0';
ALTER TABLE account ALTER COLUMN made_in SET DEFAULT pg_current_xact_id();
