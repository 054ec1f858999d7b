"""`tools/bench latency`: how soon a value that one unit posts is at another's open WebSocket."""
import json
import os
import shutil
import subprocess
import tempfile

from bench_units import Fleet
from pepeunit.instance import Instance

SCHEMA = '{"input_variables": {"shown": {"type": "number"}}, "output_variables": {"value": {"type": "number"}}}'


def run(options, binaries, settings, say):
    folder = tempfile.mkdtemp(prefix="pub-", dir="/tmp")
    os.chmod(folder, 0o755)
    instance = Instance(os.path.join(folder, "i"), binaries, settings=settings)
    try:
        say("starting a private instance")
        instance.start()
        say(f"making {options.pairs} pairs of units, linked")
        with Fleet(instance, folder, {"schema.json": SCHEMA, "env_example.json": "{}", "main.py": "\n"}) as fleet:
            path = fleet.make_units(2 * options.pairs)
            with open(path) as f:
                ids = [unit["id"] for unit in json.load(f)]
            for source, target in zip(ids[::2], ids[1::2]):
                output, shown = fleet.api.variables(source)["value"]["id"], fleet.api.variables(target)["shown"]["id"]
                fleet.api.post("/api/v1/links", {"type": "LINK_TYPE_WRITE", "output_id": output, "input_id": shown})

        def measure(seconds):
            command = [os.path.join(binaries, "pepeunit-bench"), "latency", "--units", path, "--port", str(instance.ports["unit-ingest"]),
                       "--per-s", str(options.per_s), "--seconds", str(seconds)]
            return json.loads(subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True).stdout)

        say("warming up")
        measure(2)
        result = measure(options.seconds)
        print(json.dumps({**result, "pairs": options.pairs}), flush=True)
        return 0 if result["arrived"] == result["posted"] else 1
    finally:
        instance.stop()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(instance.run_dir, ignore_errors=True)
