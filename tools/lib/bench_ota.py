"""`tools/bench ota`: a fleet takes an update of 20 files in which 2 changed, and nginx serves the same bytes beside it."""
import json
import os
import shutil
import subprocess
import tempfile
import time

from bench_sync import cpu_seconds
from bench_units import Fleet
from pepeunit.instance import Instance, free_ports

CONFIRMED = 6  # graph.v1.UpdateState
CHANGED = ("file03.bin", "file17.bin")
SETTINGS = {"PEPEUNIT_PRIVATE_REMOTES": "*", "PEPEUNIT_LOG_LEVEL": "warning", "PEPEUNIT_HTTP_CHANGES_BURST": "1000000"}
# For what one device may ask in a second is no matter of this bench.
SETTINGS.update({f"PEPEUNIT_{what}_{bound}": "1000000" for what in ("UNIT", "UPDATE") for bound in ("RATE", "BURST")})
NGINX = """
daemon off; pid %(folder)s/nginx.pid; error_log stderr warn; worker_processes 2;
events { worker_connections 256; }
http {
  access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000;
  client_body_temp_path %(folder)s/b; proxy_temp_path %(folder)s/p; fastcgi_temp_path %(folder)s/f;
  uwsgi_temp_path %(folder)s/u; scgi_temp_path %(folder)s/s;
  server { listen 127.0.0.1:%(port)d; root %(folder)s/served; }
}
"""


def start_nginx(folder, say):
    """nginx that serves the new version's files: (process, port); None and 0 where there is none."""
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if not program:
        say("nginx is not installed, so THE RATIO IS LEFT OUT: apt-get install nginx-light")
        return None, 0
    port = free_ports(1)[0]
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w") as f:
        f.write(NGINX % {"folder": folder, "port": port})
    process = subprocess.Popen([program, "-p", folder, "-c", config])
    time.sleep(0.5)
    if process.poll() is not None:
        raise RuntimeError("nginx did not start")
    return process, port


def wait_for(instance, count, table, condition):
    """Until so many rows are as the condition says; how many are when that takes more than a minute."""
    end = time.monotonic() + 60
    while True:
        found = int(instance.postgres.psql(f"SELECT count(*) FROM graph.{table} WHERE {condition}")[0][0])
        if found >= count or time.monotonic() > end:
            return found
        time.sleep(0.1)


def run(options, bin_dir, say):
    folder = tempfile.mkdtemp(prefix="pub-", dir="/tmp")
    os.chmod(folder, 0o755)
    instance = Instance(os.path.join(folder, "i"), bin_dir, settings=SETTINGS)
    nginx = None
    try:
        say("starting a private instance")
        instance.start()
        files = {f"file{number:02}.bin": os.urandom(options.file_bytes) for number in range(18)}
        files.update({"schema.json": '{"output_variables": {"value": {"type": "number"}}}', "env_example.json": "{}", "main.py": "\n"})
        with Fleet(instance, folder, files) as fleet:
            old = fleet.publish(files)
            say(f"making {options.units} units")
            units = fleet.make_units(options.units)
            new = fleet.publish({name: os.urandom(options.file_bytes) for name in CHANGED})
            fleet.api.post(f"/api/v1/repo-units/{fleet.repo['id']}:sync")
            if wait_for(instance, options.units, "unit", f"commit_id = '{new}'") < options.units:
                raise RuntimeError("the units did not follow in time")
            time.sleep(1)  # for the way in to hear of it
            fleet.unpack(os.path.join(folder, "served"))
        nginx, port = start_nginx(folder, say)
        say("updating them")
        services = [instance.services[name].pid() for name in ("unit-ingest", "archive")]
        before = sum(map(cpu_seconds, services))
        command = [os.path.join(bin_dir, "pepeunit-bench"), "ota", "--units", units, "--port", str(instance.ports["unit-ingest"]), "--have", old,
                   "--connections", str(options.connections), "--chunk", str(options.chunk)]
        done = subprocess.run(command + (["--plain-port", str(port)] if port else []), capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise RuntimeError("the load generator failed: " + done.stderr)
        cpu = sum(map(cpu_seconds, services)) - before
        confirmed = wait_for(instance, options.units, "unit_update", f"state = {CONFIRMED}")
        found = json.loads(done.stdout)
        if found["problem"]:
            say(f"{found['failed']} units failed: {found['problem']}")
        updated = max(found["updated"], 1)
        per_second = found["content_bytes"] / found["fetch_s"]
        result = {
            "units": options.units, "updated": found["updated"], "failed": found["failed"], "confirmed": confirmed,
            "units_per_minute": round(60 * updated / (found["offer_s"] + found["fetch_s"] + found["confirm_s"])),
            "bytes_changed": 2 * options.file_bytes, "bytes_each": round(found["answer_bytes"] / updated),
            "overhead": round(found["answer_bytes"] / updated / (2 * options.file_bytes), 4),
            "requests_each": round(found["requests"] / updated, 1), "cpu_ms_each": round(1000 * cpu / updated, 2),
            "fetched_mb_per_s": round(per_second / 1e6, 2)}
        if port:
            plain = found["content_bytes"] / found["plain_s"]
            result.update(nginx_mb_per_s=round(plain / 1e6, 2), ratio=round(per_second / max(plain, 1), 4))
        print(json.dumps(result), flush=True)
        return 0 if confirmed == options.units else 1
    finally:
        if nginx is not None:
            nginx.terminate()
            nginx.wait()
        instance.stop()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(instance.run_dir, ignore_errors=True)
