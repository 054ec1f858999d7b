"""What README.md tells to type works as it stands there."""
import os
import re
import subprocess

from conftest import PATIENCE, ROOT
from marks import requirement
from pepeunit import repos


def typed():
    with open(os.path.join(ROOT, "README.md")) as f:
        text = f.read()
    part = text.split("<!-- tests/functional/test_readme.py", 1)[1].split("<!-- up to here -->", 1)[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", part, re.S))


@requirement("A1", "R1", "U2", "U6", "G2", "G4", "D1", "S3")
def test_the_first_five_minutes(instance, remote, tmp_path):
    repos.publish(os.path.join(ROOT, "deploy", "standard-units", "thermostat"), os.path.join(remote.root, "thermostat.git"))
    script = typed()
    for shown, here in (("http://127.0.0.1:8080", instance.url), ("http://127.0.0.1:8083/thermostat.git", remote.url("thermostat"))):
        assert shown in script
        script = script.replace(shown, here)
    # A shell of its own group, so that the device it starts goes with it whatever happens.
    run = subprocess.run(["timeout", "--kill-after=5", str(120 * PATIENCE), "bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert '"heating"' in run.stdout and '"readings"' in run.stdout
    assert (tmp_path / "kitchen" / "env.json").exists()


def test_every_file_that_a_document_points_to_is_there():
    missing = []
    listed = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    for name in listed or ["README.md"]:
        with open(os.path.join(ROOT, name)) as f:
            for target in re.findall(r"\]\(([^)#\s]+)", f.read()):
                if "://" not in target and not os.path.exists(os.path.join(ROOT, os.path.dirname(name), target)):
                    missing.append(f"{name}: {target}")
    assert not missing
