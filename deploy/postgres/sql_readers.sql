-- Lets state-logger make roles that read histories over SQL (POST /api/v1/sql-reader). Run once in the instance's
-- database, as a superuser, after the schema `log` was made; without it that call says that it is not set up. The two
-- functions are all that state-logger may do beyond its own schema, and they touch roles of this one name only.
CREATE OR REPLACE FUNCTION log.make_sql_reader(reader text, verifier text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF reader !~ '^pepeunit_reader_[0-9a-f]{32}$' OR verifier !~ '^SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$' THEN
    RAISE EXCEPTION 'not the name and the verifier of a reader';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = reader) THEN EXECUTE format('CREATE ROLE %I', reader); END IF;
  EXECUTE format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 5'
                 ' PASSWORD %L', reader, verifier);
  EXECUTE format('ALTER ROLE %I SET search_path = log', reader);
  EXECUTE format('ALTER ROLE %I SET default_transaction_read_only = on', reader);
  EXECUTE format('ALTER ROLE %I SET statement_timeout = %L', reader, '30s');
  EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = %L', reader, '60s');
  EXECUTE format('ALTER ROLE %I SET temp_file_limit = %L', reader, '1GB');
  EXECUTE format('ALTER ROLE %I SET max_parallel_workers_per_gather = 0', reader);
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), reader);
  EXECUTE format('GRANT USAGE ON SCHEMA log TO %I', reader);
  EXECUTE format('GRANT SELECT ON log.outputs, log.readings, log.minutes, log.quarters, log.hours, log.days TO %I', reader);
END $$;

CREATE OR REPLACE FUNCTION log.drop_sql_reader(reader text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF reader !~ '^pepeunit_reader_[0-9a-f]{32}$' THEN RAISE EXCEPTION 'not the name of a reader'; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = reader) THEN RETURN; END IF;
  EXECUTE format('ALTER ROLE %I NOLOGIN', reader);
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = reader;
  EXECUTE format('DROP OWNED BY %I', reader);
  EXECUTE format('DROP ROLE %I', reader);
END $$;

REVOKE ALL ON FUNCTION log.make_sql_reader(text, text), log.drop_sql_reader(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log.make_sql_reader(text, text), log.drop_sql_reader(text) TO pepeunit_log;
