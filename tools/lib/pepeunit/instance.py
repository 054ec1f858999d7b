"""One instance: secrets, PostgreSQL, NATS, the seven services; started, stopped, killed and looked at."""
import base64
import hashlib
import json
import os
import random
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request

from .api import Api
from .postgres import SERVICES as DATABASE_SERVICES
from .postgres import Postgres
from .process import Daemon

# In the order of their dependencies; any order works.
SERVICES = ["crypto", "graph-registry", "repo-sync", "archive", "state-logger", "unit-ingest", "gateway"]
GRPC = {"crypto": "CRYPTO", "graph-registry": "GRAPH", "repo-sync": "REPO", "archive": "ARCHIVE", "state-logger": "LOG"}
MOST_SOCKET_PATH = 70  # of 107 that Linux allows; the rest is for the names in it


def free_ports(count):
    """Ports of loopback that nobody listens on now.

    Below those that Linux gives to outgoing connections (from 32768 on), one of which could take it meanwhile.
    """
    ports = []
    while len(ports) < count:
        port = random.randrange(20000, 32768)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def bypass_proxy(host):
    """What is asked here answers from this machine: a proxy of the surroundings would be in the way."""
    known = [name for name in os.environ.get("no_proxy", os.environ.get("NO_PROXY", "")).split(",") if name]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(dict.fromkeys(known + ["127.0.0.1", "localhost", host]))


def taken(address, port):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((address, port))
        except OSError:
            return True
    return False


def write_whole(path, text):
    """The file has this text or the one before, whatever happens meanwhile."""
    with open(path + ".new", "w") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.replace(path + ".new", path)


class Instance:
    """`port` None takes free ones (for tests); else gateway on it, unit-ingest on the next, the rest above."""

    def __init__(self, data, bin_dir, port=None, listen="127.0.0.1", fast=False, settings=None):
        self.data = os.path.abspath(data)
        self.bin_dir, self.listen, self.fast = bin_dir, listen, fast
        bypass_proxy(self._host())
        self.settings = dict(settings or {})  # more environment for all services
        for folder in ("", "secrets", "logs", "nats", "repositories"):
            # What is inside is nobody else's; PostgreSQL's own user has to pass the folder itself.
            os.makedirs(os.path.join(self.data, folder), mode=0o700 if folder else 0o755, exist_ok=True)
            if folder:
                os.chmod(os.path.join(self.data, folder), 0o700)
        self.run_dir = self._run_dir()
        self.log_dir = os.path.join(self.data, "logs")
        self.ports = self._ports(port)
        self.postgres = Postgres(os.path.join(self.data, "postgres"), os.path.join(self.run_dir, "pg"), self.run_dir, self.log_dir,
                                 self.secret, fast)
        self.nats = self._nats()
        self.services = {name: self._service(name) for name in SERVICES}
        self.replicas = {}

    # Where things are

    def _run_dir(self):
        path = os.path.join(self.data, "run")
        if len(path) > MOST_SOCKET_PATH:
            # Sockets have short names only: a folder in /tmp that is ours alone.
            path = "/tmp/pepeunit-" + hashlib.sha256(self.data.encode()).hexdigest()[:12]
        os.makedirs(path, mode=0o711, exist_ok=True)
        status = os.lstat(path)
        if status.st_uid != os.getuid():
            raise RuntimeError(path + " belongs to somebody else")
        os.chmod(path, 0o711)  # PostgreSQL's user passes through to its own folder
        return path

    def _ports(self, port):
        path = os.path.join(self.data, "ports.json")
        if port is None:
            if os.path.exists(path):
                with open(path) as f:
                    return json.load(f)
            names = ["gateway", "unit-ingest", "nats", "git"] + ["admin-" + name for name in SERVICES]
            ports = dict(zip(names, free_ports(len(names))))
        else:
            ports = {"gateway": port, "unit-ingest": port + 1, "nats": port + 2, "git": port + 3}
            ports.update({"admin-" + name: port + 10 + i for i, name in enumerate(SERVICES)})
        write_whole(path, json.dumps(ports))
        return ports

    def secret_file(self, name):
        path = os.path.join(self.data, "secrets", name)
        if not os.path.exists(path):
            value = base64.b64encode(secrets.token_bytes(32)).decode() if name == "master-key" else secrets.token_urlsafe(32)
            if name == "admin-password":
                value = secrets.token_urlsafe(15)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
                f.write(value + "\n")
        return path

    def secret(self, name):
        with open(self.secret_file(name)) as f:
            return f.read().strip()

    @property
    def url(self):
        return f"http://{self._host()}:{self.ports['gateway']}"

    @property
    def device_url(self):
        return f"http://{self._host()}:{self.ports['unit-ingest']}"

    def _host(self):
        if self.listen not in ("0.0.0.0", "::"):
            return self.listen
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; asks which address would be used
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"
        finally:
            probe.close()

    def api(self):
        return Api(f"http://127.0.0.1:{self.ports['gateway']}" if self.listen in ("0.0.0.0", "::") else self.url)

    # What runs

    def _nats(self):
        config = os.path.join(self.data, "secrets", "nats.conf")
        with open(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(f"""listen: "127.0.0.1:{self.ports['nats']}"
server_name: pepeunit
jetstream {{ store_dir: "{os.path.join(self.data, 'nats')}", max_memory_store: 16MB, max_file_store: 4GB }}
authorization {{ token: "{self.secret('nats-token')}" }}
max_payload: 1MB
""")
        return Daemon("nats", ["nats-server", "-c", config], self.run_dir, self.log_dir,
                      env=dict(os.environ, GOMEMLIMIT="128MiB"), where=f"127.0.0.1:{self.ports['nats']}")

    def _env(self, name):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PEPEUNIT_")}
        env.update({
            "PEPEUNIT_INSTANCE_KEY_FILE": self.secret_file("instance-key"),
            "PEPEUNIT_ADMIN_PORT": str(self.ports["admin-" + name]),
            "PEPEUNIT_NATS_URL": f"nats://127.0.0.1:{self.ports['nats']}",
            "PEPEUNIT_NATS_TOKEN_FILE": self.secret_file("nats-token"),
        })
        for service, key in GRPC.items():
            env[f"PEPEUNIT_{key}_TARGET"] = f"unix:{self.run_dir}/{service}.sock"
        if name in GRPC:
            env["PEPEUNIT_GRPC_ADDRESS"] = f"unix:{self.run_dir}/{name}.sock"
        if name in DATABASE_SERVICES:
            path = os.path.join(self.data, "secrets", name + "-database-url")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
                f.write(self.postgres.dsn(name) + "\n")
            env["PEPEUNIT_DATABASE_URL_FILE"] = path
        env.update({
            "crypto": {"PEPEUNIT_MASTER_KEY_FILE": self.secret_file("master-key")},
            "graph-registry": {"PEPEUNIT_DEVICE_URL": self.device_url,
                               "PEPEUNIT_ADMIN_PASSWORD_FILE": self.secret_file("admin-password")},
            "repo-sync": {"PEPEUNIT_REPOSITORIES_DIR": os.path.join(self.data, "repositories"),
                          "PEPEUNIT_PRIVATE_REMOTES": f"127.0.0.1:{self.ports['git']}"},
            "unit-ingest": {"PEPEUNIT_INGEST_ADDRESS": self.listen, "PEPEUNIT_INGEST_PORT": str(self.ports["unit-ingest"])},
            "gateway": {"PEPEUNIT_HTTP_ADDRESS": self.listen, "PEPEUNIT_HTTP_PORT": str(self.ports["gateway"])},
        }.get(name, {}))
        env.update(self.settings)
        return env

    def _service(self, name):
        where = {"gateway": self.url, "unit-ingest": self.device_url}.get(name, f"unix:{self.run_dir}/{name}.sock")
        return Daemon(name, [os.path.join(self.bin_dir, "pepeunit-" + name)], self.run_dir, self.log_dir, env=self._env(name), where=where)

    def daemons(self):
        return [self.postgres.daemon, self.nats] + list(self.services.values()) + list(self.replicas.values())

    def taken_ports(self):
        """Ports that something else listens on, though a part that does not run yet needs them."""
        found = [self.ports["nats"]] if self.nats.pid() is None and taken("127.0.0.1", self.ports["nats"]) else []
        for name, daemon in self.services.items():
            if daemon.pid() is None:
                wanted = [("127.0.0.1", self.ports["admin-" + name])] + ([(self.listen, self.ports[name])] if name in self.ports else [])
                found += [port for address, port in wanted if taken(address, port)]
        return found

    def start(self, say=lambda text: None):
        self.postgres.prepare()
        say("PostgreSQL")
        self.postgres.start()
        self.postgres.create_roles()
        say("NATS")
        self.nats.start()
        say("services")
        for daemon in self.services.values():
            daemon.start()
        self.wait_ready()

    def start_replica(self, name):
        """A second process of a service on ports of its own: its HTTP port for unit-ingest and gateway, else None."""
        daemon = self._service(name)
        daemon.name = name + "-2"
        daemon.pid_file = os.path.join(self.run_dir, daemon.name + ".pid")
        daemon.log = os.path.join(self.log_dir, daemon.name + ".log")
        admin, port = free_ports(2)
        daemon.env["PEPEUNIT_ADMIN_PORT"] = str(admin)
        if name in GRPC:
            daemon.env["PEPEUNIT_GRPC_ADDRESS"] = f"unix:{self.run_dir}/{daemon.name}.sock"
        daemon.env["PEPEUNIT_INGEST_PORT"] = daemon.env["PEPEUNIT_HTTP_PORT"] = str(port)
        self.ports["admin-" + daemon.name] = admin
        self.replicas[daemon.name] = daemon
        daemon.start()
        self.wait_ready([daemon.name])
        return port

    def readiness(self, name):
        """(status, report) of /readyz; (0, reason) when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['admin-' + name]}/readyz", timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except OSError as e:
            return 0, str(e)

    def wait_ready(self, names=None, timeout=60):
        waiting = list(names or SERVICES)
        end = time.monotonic() + timeout
        while waiting:
            waiting = [name for name in waiting if self.readiness(name)[0] != 200]
            if not waiting:
                return
            for name in waiting:
                daemon = self.services.get(name) or self.replicas[name]
                if daemon.pid() is None:
                    raise RuntimeError(f"{name} ended at its start:\n{daemon.last_lines()}")
            if time.monotonic() > end:
                reports = "\n".join(f"{name}: {self.readiness(name)[1]}" for name in waiting)
                raise RuntimeError("not ready in time:\n" + reports)
            time.sleep(0.05)

    def stop(self):
        """All of it, input first. The names of those that had to be killed."""
        stuck = []
        for daemon in list(self.replicas.values()) + [self.services[name] for name in reversed(SERVICES)] + [self.nats]:
            if not daemon.stop():
                stuck.append(daemon.name)
        pid = self.postgres.daemon.pid()
        if pid is not None:
            subprocess.run(self.postgres.prefix + ["kill", "-INT", str(pid)])  # fast shutdown
            if not self.postgres.daemon.wait_gone(30):
                self.postgres.daemon.kill()
                stuck.append("postgres")
        self.replicas.clear()
        return stuck

    def daemon(self, name):
        return {"postgres": self.postgres.daemon, "nats": self.nats}.get(name) or self.services[name]

    def kill(self, name):
        self.daemon(name).kill()

    def restart(self, name):
        if name == "postgres":
            self.postgres.start()
        else:
            self.daemon(name).start()
