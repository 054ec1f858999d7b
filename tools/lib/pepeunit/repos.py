"""Publishes folders as bare git repositories, and serves them over smart HTTP."""
import json
import os
import shutil
import subprocess
import tempfile

from .process import Daemon

TOOLS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GIT = ["git", "-c", "user.name=Pepeunit", "-c", "user.email=pepeunit@localhost", "-c", "init.defaultBranch=main",
       "-c", "safe.directory=*", "-c", "commit.gpgsign=false"]


def git(*arguments, cwd=None):
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    run = subprocess.run(GIT + list(arguments), cwd=cwd, env=env, capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(f"git {' '.join(arguments)}: {run.stderr.strip()}")
    return run.stdout.strip()


def publish(folder, bare):
    """Makes the bare repository hold the folder's content on `main`; a new commit only when it changed. True if it did."""
    if not os.path.exists(os.path.join(bare, "HEAD")):
        git("init", "--quiet", "--bare", bare)
    with tempfile.TemporaryDirectory() as temp:
        work = os.path.join(temp, "work")
        git("clone", "--quiet", bare, work)
        for name in os.listdir(work):
            if name != ".git":
                path = os.path.join(work, name)
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        # Links are followed: a board gets files.
        shutil.copytree(folder, work, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "env.json"))
        git("add", "--all", cwd=work)
        if not git("status", "--porcelain", cwd=work):
            return False
        git("commit", "--quiet", "-m", "Program of " + os.path.basename(folder.rstrip("/")), cwd=work)
        git("push", "--quiet", "origin", "HEAD:refs/heads/main", cwd=work)
        return True


def server(root, port, run_dir, log_dir, *more):
    return Daemon("git-http", [os.path.join(TOOLS, "git-http"), "--root", root, "--port", str(port), *more], run_dir, log_dir,
                  where=f"http://127.0.0.1:{port}")
