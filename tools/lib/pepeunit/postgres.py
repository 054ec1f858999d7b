"""A private PostgreSQL cluster: a Unix socket, a role and a schema for each service, small memory."""
import os
import pwd
import shutil
import subprocess
import time

from .process import Daemon

SQL_READERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "deploy", "postgres", "sql_readers.sql")
BIN = "/usr/lib/postgresql/15/bin"
SERVICES = {"graph-registry": "graph", "repo-sync": "repo", "state-logger": "log", "crypto": "secret"}

CONFIG = """
listen_addresses = ''
max_connections = 60
shared_buffers = 16MB
work_mem = 2MB
maintenance_work_mem = 32MB
max_wal_size = 256MB
min_wal_size = 32MB
wal_buffers = 1MB
max_parallel_workers = 0
max_worker_processes = 2
max_logical_replication_workers = 0
autovacuum_max_workers = 1
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
"""


def reachable(path, user):
    """Whether every folder above may be passed by a user who owns none of them."""
    info = pwd.getpwnam(user)
    path = os.path.realpath(path)
    while path != "/":
        path = os.path.dirname(path)
        status = os.stat(path)
        bit = 0o100 if status.st_uid == info.pw_uid else 0o010 if status.st_gid == info.pw_gid else 0o001
        if not status.st_mode & bit:
            return False
    return True


class Postgres:
    def __init__(self, data, socket_dir, run_dir, log_dir, secret, fast=False, settings=()):
        self.data, self.socket_dir, self.secret, self.fast = data, socket_dir, secret, fast
        self.prefix = []
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            self.prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
            if not (reachable(data, "postgres") and reachable(socket_dir, "postgres")):
                # May pass folders that are closed to it, such as those under /root; it owns what it writes.
                self.prefix += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        argv = self.prefix + [BIN + "/postgres", "-D", data, "-k", socket_dir]
        if fast:
            # Commits still reach the kernel, so killing the processes loses nothing; only a power cut would.
            argv += ["-c", "fsync=off", "-c", "full_page_writes=off"]
        for setting in settings:
            argv += ["-c", setting]
        self.daemon = Daemon("postgres", argv, run_dir, log_dir, cwd="/", where="socket " + socket_dir)

    def _own(self, path):
        os.makedirs(path, mode=0o700, exist_ok=True)
        if os.getuid() == 0:
            shutil.chown(path, "postgres", "postgres")

    def prepare(self):
        self._own(self.data)
        os.makedirs(self.socket_dir, mode=0o755, exist_ok=True)
        self._own(self.socket_dir)
        if os.path.exists(os.path.join(self.data, "PG_VERSION")):
            return False
        password_file = os.path.join(self.socket_dir, ".initdb-password")
        with open(password_file, "w") as f:
            f.write(self.secret("postgres-password"))
        if os.getuid() == 0:
            shutil.chown(password_file, "postgres", "postgres")
        try:
            run = subprocess.run(
                self.prefix + [BIN + "/initdb", "-D", self.data, "-U", "postgres", "--auth=scram-sha-256", "--pwfile=" + password_file,
                               "--locale=C.UTF-8", "-E", "UTF8"] + (["--no-sync"] if self.fast else []),
                cwd="/", capture_output=True, text=True)
        finally:
            os.unlink(password_file)
        if run.returncode != 0:
            shutil.rmtree(self.data, ignore_errors=True)
            raise RuntimeError("initdb failed: " + run.stderr[-2000:])
        with open(os.path.join(self.data, "postgresql.conf"), "a") as f:
            f.write(CONFIG)
        return True

    def start(self, timeout=60):
        self.daemon.start()
        end = time.monotonic() + timeout
        while not self.answers():
            if self.daemon.pid() is None:
                # After a crash the old server's children may hold the shared memory for a moment.
                if time.monotonic() > end:
                    raise RuntimeError("PostgreSQL does not start:\n" + self.daemon.last_lines())
                time.sleep(0.2)
                self.daemon.start()
            elif time.monotonic() > end:
                raise RuntimeError("PostgreSQL does not answer:\n" + self.daemon.last_lines())
            time.sleep(0.1)

    def answers(self):
        return subprocess.run([BIN + "/pg_isready", "-q", "-h", self.socket_dir], cwd="/").returncode == 0

    def psql(self, sql, role="postgres"):
        """Runs SQL and returns its rows, tab-separated, as the named role."""
        env = dict(os.environ, PGPASSWORD=self.secret("postgres-password" if role == "postgres" else role + "-password"))
        run = subprocess.run([BIN + "/psql", "-h", self.socket_dir, "-U", role, "-d", "pepeunit" if role != "postgres" or self._made else "postgres",
                              "-v", "ON_ERROR_STOP=1", "-AtX", "-F", "\t", "-c", sql], env=env, cwd="/", capture_output=True, text=True)
        if run.returncode != 0:
            raise RuntimeError("psql: " + run.stderr)
        return [line.split("\t") for line in run.stdout.splitlines()]

    _made = True

    def create_roles(self):
        self._made = False
        if not self.psql("SELECT 1 FROM pg_database WHERE datname = 'pepeunit'"):
            self.psql("CREATE DATABASE pepeunit")
        self._made = True
        self.psql("REVOKE ALL ON DATABASE pepeunit FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC")
        for schema in SERVICES.values():
            role = "pepeunit_" + schema
            password = self.secret(role + "-password")
            self.psql(f"""DO $$ BEGIN
                IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role} LOGIN; END IF; END $$;
                ALTER ROLE {role} PASSWORD '{password}';
                GRANT CONNECT ON DATABASE pepeunit TO {role};
                CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {role}""")
        with open(SQL_READERS) as f:
            self.psql(f.read())

    def dsn(self, service):
        role = "pepeunit_" + SERVICES[service]
        host = self.socket_dir.replace("\\", "\\\\").replace("'", "\\'")
        return f"host='{host}' dbname=pepeunit user={role} password={self.secret(role + '-password')}"
