"""Git remotes over a real SSH server of the tests' own, and keys for it."""
import json
import os
import subprocess

import pytest
from conftest import ROOT, write_tree
from pepeunit import repos


def keygen(path, *options, passphrase=""):
    """The path of a new private key; the public one lies beside it."""
    subprocess.run(["ssh-keygen", "-q", "-N", passphrase, "-C", "ada", "-f", path, *options], check=True)
    return path


def read(path):
    with open(path) as f:
        return f.read()


class SshRemote:
    def __init__(self, folder):
        self.folder, self.root = os.path.join(folder, "ssh"), os.path.join(folder, "git")
        os.makedirs(self.folder)
        os.makedirs(self.root)
        self.port, self.process = 0, None
        self.start()

    def start(self):
        self.process = subprocess.Popen([os.path.join(ROOT, "tests", "ssh-remote"), "--folder", self.folder, "--port", str(self.port)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            pytest.skip("no SSH server can be had here: " + self.process.communicate()[1].strip())
        told = json.loads(line)
        self.port, self.user, self.host_keys = told["port"], told["user"], told["host_keys"]

    def stop(self):
        self.process.terminate()
        self.process.communicate()

    def renew_host_keys(self):
        self.stop()
        for name in os.listdir(self.folder):
            if name.startswith("host_"):
                os.unlink(os.path.join(self.folder, name))
        self.start()

    def admit(self, key):
        with open(os.path.join(self.folder, "authorized_keys"), "a") as f:
            f.write(read(key + ".pub"))

    def url(self, name):
        return f"ssh://{self.user}@127.0.0.1:{self.port}{self.root}/{name}.git"

    def publish(self, name, files):
        work = os.path.join(self.folder, name)
        write_tree(work, files)
        repos.publish(work, os.path.join(self.root, name + ".git"))
        return self.url(name)


@pytest.fixture
def ssh_remote(tmp_path):
    made = SshRemote(str(tmp_path))
    yield made
    made.stop()
