"""Looks for known secrets in all that an instance writes and shows."""
import base64
import glob
import os
import subprocess

from pepeunit.process import children


def spellings(secret):
    found = {secret, secret.encode().hex(), base64.b64encode(secret.encode()).decode().rstrip("="), secret.replace("\n", "\\n")}
    try:
        found.add(base64.b64decode(secret, validate=True).hex())
    except ValueError:
        pass
    return found


def database(instance):
    return subprocess.run(["/usr/lib/postgresql/15/bin/pg_dump", "-h", instance.postgres.socket_dir, "-U", "postgres", "pepeunit"],
                          env=dict(os.environ, PGPASSWORD=instance.secret("postgres-password")), cwd="/", capture_output=True, text=True, check=True).stdout


def assert_nowhere(instance, secrets, dump, more=()):
    """None of the secrets is in the database's dump, a log, the configuration of a copy, or another text, in any spelling."""
    texts = {"database": dump, **dict(more)}
    for path in glob.glob(os.path.join(instance.log_dir, "*.log")) + glob.glob(os.path.join(instance.data, "repositories", "*", "config")):
        with open(path, errors="replace") as f:
            texts[path] = f.read()
    for secret in secrets:
        for spelling in spellings(secret):
            for where, text in texts.items():
                assert spelling not in text, where


def processes(root):
    """What the process and its descendants show to whoever may look: their command lines and environments, by pid."""
    family = [root]
    for pid in family:
        family += children(pid)
    shown = {}
    for pid in family:
        try:
            shown[pid] = "".join(open(f"/proc/{pid}/{name}", errors="replace").read() for name in ("cmdline", "environ"))
        except OSError:  # it ended meanwhile
            pass
    return shown
