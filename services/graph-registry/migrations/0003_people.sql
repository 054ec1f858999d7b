-- A blocked user cannot sign in, and what was signed in has ended; his devices go on unless they are stopped too.
ALTER TABLE account ADD COLUMN blocked boolean NOT NULL DEFAULT false;
ALTER TABLE account ADD COLUMN devices_stopped boolean NOT NULL DEFAULT false;

-- Where a session comes from, for its owner to know it again.
ALTER TABLE session ADD COLUMN client_address text NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN last_used_at timestamptz NOT NULL DEFAULT now();
