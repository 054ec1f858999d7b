import base64
import json
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from instance import Instance  # noqa: E402
import pepeunit  # noqa: E402

UNIT = "0190163d-8694-739b-aea5-966c26f8ad91"
COMMIT = "c" * 40


@pytest.fixture
def instance():
    running = Instance(bytes(range(32)), "a.b.c")
    yield running
    running.stop()


@pytest.fixture
def folder(tmp_path, instance):
    (tmp_path / "env.json").write_text(json.dumps({
        "PEPEUNIT_URL": instance.url, "PEPEUNIT_TOKEN": instance.token,
        "SYNC_ENCRYPT_KEY": base64.b64encode(instance.key).decode(), "SECRET_KEY": "x", "PERIOD_S": 1}))
    (tmp_path / "schema.json").write_text(json.dumps({
        "unit_state": ["ip"], "input_variables": {"target": {"default": 20}}, "output_variables": ["t", "h"],
        "pepeunit": {"commit": COMMIT, "unit": UNIT}}))
    return tmp_path


@pytest.fixture
def unit(folder):
    made = pepeunit.Unit(str(folder), timeout_s=2, push=False)  # the tests of WebSockets run against an instance
    yield made
    made.close()


def pytest_configure(config):
    config.addinivalue_line("markers", "requirement(ids): the requirements that a test proves")
