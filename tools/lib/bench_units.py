"""Units for the load generator, made of a repository as a person would."""
import contextlib
import io
import json
import os
import shutil
import subprocess
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

from pepeunit import repos
from pepeunit.instance import Instance, free_ports


@contextlib.contextmanager
def private_instance(binaries, settings):
    """(instance, folder), started; both are gone when the context ends."""
    folder = tempfile.mkdtemp(prefix="pub-", dir="/tmp")
    os.chmod(folder, 0o755)
    instance = Instance(os.path.join(folder, "i"), binaries, settings=settings)
    try:
        instance.start()
        yield instance, folder
    finally:
        instance.stop()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(instance.run_dir, ignore_errors=True)


def run_load(binaries, instance, command, units, seconds, *options):
    """What the load generator says of a run of that long."""
    arguments = [os.path.join(binaries, "pepeunit-bench"), command, "--units", units, "--port", str(instance.ports["unit-ingest"]),
                 "--seconds", str(seconds), *map(str, options)]
    return json.loads(subprocess.run(arguments, capture_output=True, text=True, timeout=seconds + 60, check=True).stdout)


class Fleet:
    """A repository with these files, served while the context is open, and units made from it."""

    def __init__(self, instance, folder, files):
        self.folder, self.files = folder, files
        self.bare = os.path.join(folder, "git", "load.git")
        os.makedirs(os.path.dirname(self.bare))
        self.publish(files)
        port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{port}/load.git"
        self.server = repos.server(os.path.dirname(self.bare), port, folder, folder)
        self.api = instance.api()
        self.api.sign_in("admin", instance.secret("admin-password"))

    def __enter__(self):
        self.server.start()
        time.sleep(0.5)
        self.repo = self.api.add_repository("load", self.url)
        return self

    def __exit__(self, *_):
        self.server.stop()

    def publish(self, files):
        """A new version with these files, text or bytes; its commit."""
        source = os.path.join(self.folder, "source")
        os.makedirs(source, exist_ok=True)
        for name, content in files.items():
            with open(os.path.join(source, name), "wb") as f:
                f.write(content if isinstance(content, bytes) else content.encode())
        repos.publish(source, self.bare)
        return repos.git("rev-parse", "main", cwd=self.bare)

    def archive(self, unit_id):
        return zipfile.ZipFile(io.BytesIO(self.api.get(f"/api/v1/units/{unit_id}/archive", raw=True)))

    def unpack(self, folder):
        """What a device gets now."""
        unit = self.api.get("/api/v1/units?page_size=1")["units"][0]
        with self.archive(unit["id"]) as z:
            z.extractall(folder)

    def make_units(self, count):
        """The load generator's file."""
        def make(index):
            unit = self.api.post("/api/v1/units", {"repo_unit_id": self.repo["id"], "name": f"unit {index}"})
            with self.archive(unit["id"]) as z:
                env = json.loads(z.read("env.json"))
            return {"id": unit["id"], "key": env["SYNC_ENCRYPT_KEY"], "token": env["PEPEUNIT_TOKEN"], "outputs": ["value"]}

        with ThreadPoolExecutor(3) as pool:
            units = list(pool.map(make, range(count)))
        path = os.path.join(self.folder, "units.json")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            json.dump(units, f)
        return path
