"""Links between the devices of different people: what they carry, how fast, and that a right that is gone carries nothing."""
import signal
import threading
import time

import pytest

from conftest import eventually, make_sensor, refused
from marks import requirement

SCHEMA = """{
  "input_variables": {"shown": {"type": "number"}, "whole": {"type": "integer"}, "second": {"type": "number"}},
  "output_variables": {"n": {"type": "number", "logging": "off"}}
}
"""


class Flood(threading.Thread):
    """A device that counts, and tells each number as fast as it is allowed to."""

    def __init__(self, device):
        super().__init__(daemon=True)
        self.device, self.n, self.ended, self.problem = device, 0, threading.Event(), None

    def run(self):
        try:
            while not self.ended.is_set():
                answer = self.device.send({"n": self.n + 1})
                if answer.status == 200:
                    self.n += 1
                elif answer.status == 429:
                    time.sleep(answer.json["retry_after_ms"] / 1000)
                else:
                    raise AssertionError((answer.status, answer.body))
        except Exception as e:  # told by the main thread
            self.problem = e

    def wait_for_more(self, count=10):
        target = self.n + count
        eventually(lambda: self.n >= target or self.problem)
        assert not self.problem, self.problem

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


class Pair:
    """Anna's device counts, Berta's shows; Anna may write what it shows."""

    def __init__(self, instance, remote, name):
        self.anna, self.berta = instance.api(), instance.api()
        self.anna.sign_up(f"anna.{name}", "correct horse battery")
        self.berta.sign_up(f"berta.{name}", "correct horse battery")
        self.anna_id = self.anna.get("/api/v1/users/me")["id"]
        self.berta_id = self.berta.get("/api/v1/users/me")["id"]
        url = remote.publish("counter-" + name, {"schema.json": SCHEMA, "env_example.json": "{}", "main.py": ""})
        repo = self.anna.add_repository("counter", url, level="ACCESS_LEVEL_INSTANCE")
        self.source, outputs, self.device = make_sensor(self.anna, repo, "counts")
        self.target, self.inputs, _ = make_sensor(self.berta, repo, "shows")
        self.output, self.input = outputs["n"]["id"], self.inputs["shown"]["id"]
        self.let_write()

    def let_write(self):
        self.berta.put(f"/api/v1/nodes/{self.input}/grants/{self.anna_id}", {"role": "ROLE_WRITER"})

    def forbid_write(self):
        self.berta.delete(f"/api/v1/nodes/{self.input}/grants/{self.anna_id}")

    def level(self, level):
        self.anna.post(f"/api/v1/nodes/{self.source['id']}:set-level", {"level": level, "with_variables": True})

    def accept(self, links):
        self.berta.patch(f"/api/v1/variables/{self.input}", {"accepts_links": links})

    def link(self, api, kind, input_id=None):
        return api.post("/api/v1/links", {"type": kind, "output_id": self.output, "input_id": input_id or self.input})

    def shown(self, input_id=None):
        return self.berta.get(f"/api/v1/variables/{input_id or self.input}/value")["value"]

    def resumes(self, flood):
        begin = flood.n
        eventually(lambda: (self.shown() or 0) > begin or flood.problem)

    def stays(self, flood):
        """Nothing passes any more, although the device goes on."""
        last = self.shown()
        end = flood.n + 15
        while flood.n < end and not flood.problem:
            assert self.shown() == last
        flood.wait_for_more(1)
        assert self.shown() == last


@pytest.fixture(scope="module")
def pair(instance, remote):
    return Pair(instance, remote, "race")


@requirement("G2", "G4", "G5", "A4")
def test_from_the_answer_on_nothing_passes_by_a_right_that_was_taken_away(pair):
    pushed = pair.link(pair.anna, "LINK_TYPE_WRITE")
    assert pushed["state"] == "LINK_STATE_ACTIVE"

    def state():
        # Berta may not see Anna's output: she is told that something writes her input, and whether it does.
        half = pair.berta.get("/api/v1/links/" + pushed["id"])
        assert half["concealed"] and not half["output_id"] and not half["creator_id"] and not half["suspended_detail"]
        return half["state"]

    def reason():
        return pair.anna.get("/api/v1/links/" + pushed["id"])["suspended_reason"]

    with Flood(pair.device) as flood:
        for _ in range(3):
            pair.resumes(flood)
            pair.forbid_write()
            pair.stays(flood)
            assert state() == "LINK_STATE_SUSPENDED"
            pair.let_write()
            pair.resumes(flood)
            assert state() == "LINK_STATE_ACTIVE"
            pair.accept(False)
            pair.stays(flood)
            assert state() == "LINK_STATE_SUSPENDED"
            pair.accept(True)
        # A link whose creator may see nothing of its end any more is his no longer to see, and says so to the others.
        pair.resumes(flood)
        pair.anna.delete("/api/v1/links/" + pushed["id"])
        pair.stays(flood)
        refused(404, "NOT_FOUND", pair.berta.get, "/api/v1/links/" + pushed["id"])

        pair.level("ACCESS_LEVEL_INSTANCE")
        pulled = pair.link(pair.berta, "LINK_TYPE_READ")
        for _ in range(3):
            pair.resumes(flood)
            pair.level("ACCESS_LEVEL_PRIVATE")
            pair.stays(flood)
            told = pair.berta.get("/api/v1/links/" + pulled["id"])
            assert told["state"] == "LINK_STATE_SUSPENDED" and told["concealed"]
            pair.level("ACCESS_LEVEL_INSTANCE")
        pair.resumes(flood)
        # The unit itself goes: nothing of it comes back.
        pair.berta.delete("/api/v1/units/" + pair.target["id"])
        flood.wait_for_more()
        refused(404, "NOT_FOUND", pair.berta.get, f"/api/v1/variables/{pair.input}/value")


@requirement("G5")
def test_what_is_on_its_way_when_a_right_goes_does_not_arrive_after_the_answer(instance, remote):
    """state-logger is held while a value is on the stream and the right is taken away: whatever it does first when it
    goes on, what the input holds when the answer comes is what it holds later."""
    pair = Pair(instance, remote, "way")
    pair.link(pair.anna, "LINK_TYPE_WRITE")
    logger = instance.services["state-logger"]

    def send(n):
        eventually(lambda: pair.device.send({"n": n}).status == 200)

    for n in range(0, 60, 10):
        # The device has to know of the right again.
        eventually(lambda: (send(n), pair.shown() == n)[1])
        answered = threading.Event()

        def forbid():
            pair.forbid_write()
            answered.set()

        logger.signal(signal.SIGSTOP)
        try:
            for more in (1, 2, 3):
                send(n + more)
            thread = threading.Thread(target=forbid)
            thread.start()
            held = answered.wait(0.5)
        finally:
            logger.signal(signal.SIGCONT)
        thread.join()
        last = n if held else pair.shown()
        for _ in range(5):
            send(n + 5)
            assert pair.shown() == last
        pair.let_write()


@requirement("G2", "A4", "A5", "U9", "U11")
def test_every_way_to_end_a_link_ends_it_with_the_answer(instance, admin, remote):
    """Beside what the test above takes away: the role of the unit at an end, who drew it blocked, the version that has
    the input, and the other unit itself."""
    pair = Pair(instance, remote, "ends")
    with Flood(pair.device) as flood:
        # What Anna may not, her unit may: a role that was given to it.
        pair.forbid_write()
        path = f"/api/v1/nodes/{pair.input}/grants/{pair.source['id']}"
        pair.level("ACCESS_LEVEL_INSTANCE")  # or Berta could not name it
        pair.berta.put(path, {"role": "ROLE_WRITER", "subject_kind": "SUBJECT_KIND_UNIT"})
        pair.berta.post(f"/api/v1/nodes/{pair.target['id']}:set-level", {"level": "ACCESS_LEVEL_INSTANCE", "with_variables": True})
        pushed = pair.link(pair.anna, "LINK_TYPE_WRITE")
        pair.resumes(flood)
        pair.berta.delete(path + "?subject_kind=SUBJECT_KIND_UNIT")
        pair.stays(flood)
        assert pair.anna.get("/api/v1/links/" + pushed["id"])["suspended_reason"] == "SUSPENDED_REASON_CREATOR_LOST_WRITE"
        pair.anna.delete("/api/v1/links/" + pushed["id"])

        # Who drew it is blocked, and what he set up is stopped. Anna's device goes on.
        pulled = pair.link(pair.berta, "LINK_TYPE_READ")
        pair.resumes(flood)
        admin.post(f"/api/v1/users/{pair.berta_id}:block", {"stop_devices": True})
        last = admin.get(f"/api/v1/variables/{pair.input}/value")["value"]
        flood.wait_for_more(15)
        assert admin.get(f"/api/v1/variables/{pair.input}/value")["value"] == last
        assert admin.get("/api/v1/links/" + pulled["id"])["suspended_reason"] == "SUSPENDED_REASON_CREATOR_BLOCKED"
        admin.post(f"/api/v1/users/{pair.berta_id}:unblock")
        pair.berta.sign_in("berta.ends", "correct horse battery")
        pair.resumes(flood)

        # The input's unit moves to a version without the input: there is nothing left to arrive in.
        remote.publish("counter-ends", {"schema.json": SCHEMA.replace('"shown": {"type": "number"}, ', ""), "env_example.json": "{}", "main.py": ""})
        repo = pair.source["version"]["repo_unit_id"]
        pair.anna.post(f"/api/v1/units/{pair.source['id']}:move", {"pin": {"commit": pair.source["version"]["commit"]}})
        pair.anna.post(f"/api/v1/repo-units/{repo}:sync")
        eventually(lambda: pair.berta.get("/api/v1/units/" + pair.target["id"])["version"]["commit"] != pair.source["version"]["commit"])
        flood.wait_for_more()
        refused(404, "NOT_FOUND", pair.berta.get, f"/api/v1/variables/{pair.input}/value")
        refused(404, "NOT_FOUND", pair.berta.get, "/api/v1/links/" + pulled["id"])

        # The source goes: its device is refused, and what it carried last stays.
        pair.link(pair.berta, "LINK_TYPE_READ", pair.inputs["second"]["id"])
        begin = flood.n
        eventually(lambda: (pair.shown(pair.inputs["second"]["id"]) or 0) > begin or flood.problem)
        pair.anna.delete("/api/v1/units/" + pair.source["id"])
        last = pair.shown(pair.inputs["second"]["id"])
        eventually(lambda: flood.problem)
        assert flood.problem.args[0][0] == 401
        assert pair.shown(pair.inputs["second"]["id"]) == last


@requirement("G4", "G5")
def test_a_link_that_is_flooded_ends_with_the_newest_value_and_tells_of_it(instance, remote):
    pair = Pair(instance, remote, "rate")
    pair.level("ACCESS_LEVEL_INSTANCE")
    link = pair.link(pair.berta, "LINK_TYPE_READ")
    whole = pair.link(pair.berta, "LINK_TYPE_READ", pair.inputs["whole"]["id"])

    def statistics(one):
        return pair.berta.get(f"/api/v1/links/{one['id']}/statistics")

    def marks(link):
        return [hit["bound"] for hit in link.get("bounds_hit", ())]

    assert int(statistics(link)["carried"]) == 0 and not marks(link)
    with Flood(pair.device) as flood:
        eventually(lambda: int(statistics(link)["limited"]) > 3 or flood.problem)
    assert not flood.problem, flood.problem
    # Nothing more comes from the device: what waited comes by itself.
    eventually(lambda: pair.shown() == flood.n)
    seen = statistics(link)
    assert not seen["holding"] and seen["last_carried"] and seen["last_limited"]
    assert int(seen["carried"]) <= flood.n
    # The link is marked, wherever it is shown; the one whose values did not fit is not.
    eventually(lambda: marks(pair.berta.get("/api/v1/links/" + link["id"])) == ["LINK_BOUND_RATE"])
    around = pair.berta.get(f"/api/v1/nodes/{pair.input}/neighbourhood")
    assert marks(next(edge for edge in around["edges"] if edge.get("link_id") == link["id"])) == ["LINK_BOUND_RATE"]
    # What the input cannot take is counted, and stays away from it.
    eventually(lambda: pair.device.send({"n": 0.5}).status == 200)  # once its own rate allows it
    eventually(lambda: int(statistics(whole)["unfit"]) == 1)
    assert statistics(whole)["last_refused"] and "LINK_BOUND_FAN_OUT" not in marks(pair.berta.get("/api/v1/links/" + whole["id"]))
    eventually(lambda: pair.shown() == 0.5)
    assert pair.shown(pair.inputs["whole"]["id"]) == flood.n
    pair.level("ACCESS_LEVEL_PRIVATE")
    refused(404, "NOT_FOUND", pair.berta.get, f"/api/v1/links/{link['id']}/statistics")


@requirement("G2", "S3")
def test_a_maintainer_closes_an_input_and_cannot_open_it_further_than_the_schema(admin, sensor):
    unit, variables, _ = sensor
    path = "/api/v1/variables/" + variables["target"]["id"]
    closed = admin.patch(path, {"accepts_people": False})
    assert not closed["writable_by_people"] and closed["writable_by_links"]
    refused(409, "NOT_WRITABLE", admin.put, path + "/value", {"value": 5})
    admin.patch(path, {"accepts_people": True})
    admin.put(path + "/value", {"value": 5})
    refused(400, "INVALID_FIELD", admin.patch, "/api/v1/variables/" + variables["guarded"]["id"], {"accepts_links": True}, field="accepts_links")
