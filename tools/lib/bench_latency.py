"""`tools/bench latency`: how soon a value that one unit posts is at another's open WebSocket."""
import json

from bench_units import Fleet, private_instance, run_load

SCHEMA = '{"input_variables": {"shown": {"type": "number"}}, "output_variables": {"value": {"type": "number"}}}'


def run(options, binaries, settings, say):
    say("starting a private instance")
    with private_instance(binaries, settings) as (instance, folder):
        say(f"making {options.pairs} pairs of units, linked")
        with Fleet(instance, folder, {"schema.json": SCHEMA, "env_example.json": "{}", "main.py": "\n"}) as fleet:
            path = fleet.make_units(2 * options.pairs)
            with open(path) as f:
                ids = [unit["id"] for unit in json.load(f)]
            for source, target in zip(ids[::2], ids[1::2]):
                output, shown = fleet.api.variables(source)["value"]["id"], fleet.api.variables(target)["shown"]["id"]
                fleet.api.post("/api/v1/links", {"type": "LINK_TYPE_WRITE", "output_id": output, "input_id": shown})

        def measure(seconds):
            return run_load(binaries, instance, "latency", path, seconds, "--per-s", options.per_s)

        say("warming up")
        measure(2)
        result = measure(options.seconds)
        print(json.dumps({**result, "pairs": options.pairs}), flush=True)
        return 0 if result["arrived"] == result["posted"] else 1
