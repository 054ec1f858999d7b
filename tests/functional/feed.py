"""Live feeds as a browser reads them: server-sent events. Standard library only."""
import http.client
import json
import urllib.parse

from pepeunit.api import Problem


class Feed:
    """One stream. `last` is the id to go on from after it has ended; keep it for the next one."""

    def __init__(self, api, last=None, timeout=30, path="/api/v1/graph/changes"):
        address = urllib.parse.urlsplit(api.url)
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=timeout)
        headers = {"Accept": "text/event-stream"}
        if api.token:
            headers["Authorization"] = "Bearer " + api.token
        if last:
            headers["Last-Event-ID"] = last
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()
        if self.answer.status != 200:
            problem = json.loads(self.answer.read())
            self.close()
            raise Problem(self.answer.status, problem)
        assert self.answer.headers["Content-Type"] == "text/event-stream"
        assert self.answer.headers["Cache-Control"] == "no-store"
        self.last = last

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()

    def event(self):
        """The next (name, data), or None at the end. An id counts when its event is whole."""
        name, data, last = "message", [], self.last
        while True:
            line = self.answer.readline().decode()
            if not line:
                return None
            line = line.rstrip("\n")
            if not line:
                self.last = last
                if data:
                    return name, json.loads("\n".join(data))
                name = "message"
                continue
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif field == "id":
                last = value


class Picture:
    """What a client shows, kept up by events."""

    def __init__(self):
        self.nodes, self.links, self.events = {}, {}, []

    def apply(self, name, data):
        self.events.append(name)
        body = data.get(name, {})
        if name == "node_changed":
            self.nodes[body["node"]["id"]] = body["node"]
        elif name == "node_removed":
            self.nodes.pop(body["id"], None)
        elif name == "link_changed":
            self.links[body["id"]] = body
        elif name == "link_removed":
            self.links.pop(body["id"], None)

    def follow(self, feed, until):
        """Takes events until `until(self)` is true."""
        while not until(self):
            event = feed.event()
            assert event and event[0] not in ("error", "reset"), event
            self.apply(*event)
