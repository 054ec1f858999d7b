"""Debian's Prometheus, unpacked beside the system: as a package it would run a server of its own."""
import glob
import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from conftest import ROOT, free_ports

CACHE = os.path.join(ROOT, "build", "prometheus")


def binaries():
    """The folder with prometheus and promtool; skips when they cannot be had."""
    folder = os.path.join(CACHE, "usr", "bin")
    if not os.path.exists(os.path.join(folder, "promtool")):
        os.makedirs(CACHE, exist_ok=True)
        got = subprocess.run(["apt-get", "download", "prometheus"], cwd=CACHE, capture_output=True, text=True)
        packages = glob.glob(os.path.join(CACHE, "prometheus_*.deb"))
        if not packages:
            pytest.skip("Prometheus cannot be had: apt-get download prometheus: " + got.stderr.strip()[-200:])
        subprocess.run(["dpkg", "-x", packages[0], CACHE], check=True)
    return folder


def promtool(*arguments):
    run = subprocess.run([os.path.join(binaries(), "promtool"), *arguments], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


class Prometheus:
    """A server with its data in a folder, until the end of the `with`."""

    def __init__(self, folder, config="{}"):
        self.folder, self.port = str(folder), free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.program = os.path.join(binaries(), "prometheus")
        with open(os.path.join(self.folder, "prometheus.yml"), "w") as f:
            f.write(config)

    def __enter__(self):
        log = open(os.path.join(self.folder, "log"), "w")
        self.process = subprocess.Popen(
            [self.program, "--config.file=" + self.folder + "/prometheus.yml", "--storage.tsdb.path=" + self.folder + "/data",
             "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log, cwd=self.folder)
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(self.url + "/-/ready", timeout=2)
                return self
            except OSError:
                assert time.monotonic() < end and self.process.poll() is None, open(self.folder + "/log").read()[-2000:]
                time.sleep(0.1)

    def __exit__(self, *error):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


def ask(url, path, token=None, form=False, **parameters):
    """(status, answer) of Prometheus' API; `match` is sent as `match[]`."""
    if "match" in parameters:
        parameters["match[]"] = parameters.pop("match")
    query = urllib.parse.urlencode(parameters, doseq=True)
    request = urllib.request.Request(url + path + ("" if form or not query else "?" + query), data=query.encode() if form else None)
    if token:
        request.add_header("Authorization", "Bearer " + token)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())
