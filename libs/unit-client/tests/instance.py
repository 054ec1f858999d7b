"""A small instance on loopback that speaks the device protocol, with its own cryptography (python3-cryptography), so
that a mistake of the client's is not repeated here. `faults` says what to do with the next requests."""
import hashlib
import hmac
import json
import os
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def subkey(key, direction, use):
    return hmac.new(key, b"pepeunit v1 %s %s\x01" % (direction, use), hashlib.sha256).digest()


def cbc(key, iv):
    return Cipher(algorithms.AES(key), modes.CBC(iv))


def open_request(key, sealed):
    tag = hmac.new(subkey(key, b"request", b"authenticate"), sealed[:-32], hashlib.sha256).digest()
    if sealed[:4] not in (b"PU\x01\x01", b"PU\x01\x03") or not hmac.compare_digest(tag, sealed[-32:]):
        return None
    decryptor = cbc(subkey(key, b"request", b"encrypt"), sealed[28:44]).decryptor()
    padded = decryptor.update(sealed[44:-32])
    return sealed[4:20], struct.unpack(">Q", sealed[20:28])[0], json.loads(padded[:-padded[-1]])


def seal_answer(key, unit, sequence, request_tag, answer, kind=2):
    text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    pad = 16 - len(text) % 16
    iv = os.urandom(16)
    encryptor = cbc(subkey(key, b"answer", b"encrypt"), iv).encryptor()
    sealed = b"PU\x01" + bytes([kind]) + unit + struct.pack(">Q", sequence) + iv + encryptor.update(text + bytes([pad]) * pad)
    return sealed + hmac.new(subkey(key, b"answer", b"authenticate"), sealed + request_tag, hashlib.sha256).digest()


class Instance:
    def __init__(self, key, token):
        self.key, self.token = key, token
        self.mark, self.mark_tag = 0, b""
        self.stored = []    # every reading that was taken, in order: {name: value}
        self.ages = []
        self.states = []
        self.bodies = []    # every body that arrived
        self.hellos = 0
        self.connections = 0
        self.faults = []    # taken from the front, one per request: see Handler
        self.inputs = {"target": 21}
        self.update = None
        self.attempt = None     # of the offer; without, the offer is one of a commit only
        self.versions = {}      # by commit: {path: bytes, or (bytes, True) for an executable file}
        self.manifest = None    # replaces the lines of the manifest
        self.runs = None        # the commit that the device has told
        self.reports = []       # every report about an update that was taken
        self.asked = []         # every question about an update that was answered
        self.update_faults = []  # as faults, for requests about an update; a callable gives the answer
        self.bad_names = set()
        instance = self

        class Handler(BaseHTTPRequestHandler):
            wbufsize = -1  # an answer goes out at once
            disable_nagle_algorithm = True
            protocol_version = "HTTP/1.1"

            def setup(self):
                instance.connections += 1
                super().setup()

            def log_message(self, *arguments):
                pass

            def do_POST(self):
                instance.handle(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = "http://127.0.0.1:%d/device" % self.port
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def handle(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        update = request.path == "/device/v1/update"
        faults = self.update_faults if update else self.faults
        fault = faults.pop(0) if faults else None
        self.bodies.append(body)
        if not update and request.path != "/device/v1/exchange" or request.headers["Authorization"] != "Bearer " + self.token:
            return self.plain(request, 401)
        if isinstance(fault, int):  # an answer that is not sealed
            return self.plain(request, fault)
        if fault == "lose the request":
            request.close_connection = True
            return request.connection.close()
        if isinstance(fault, bytes):
            return self.send(request, 200, fault)
        unit, sequence, content = open_request(self.key, body)
        if isinstance(fault, dict):  # a sealed answer without effect
            status, answer = 503, fault
        elif update:
            assert body[3] == 3 and sequence == 0
            answer = fault(content) if callable(fault) else self.about_update(content)
            status = 409 if isinstance(answer, dict) and "error" in answer else 200
        else:
            assert body[3] == 1
            status, answer = self.exchange(sequence, body[-32:], content)
        if fault == "lose the answer":
            request.close_connection = True
            return request.connection.close()
        kind = 2 if not update else 5 if isinstance(answer, bytes) else 4
        sealed = seal_answer(self.key, unit, sequence, body[-32:], answer, kind)
        if fault == "change the answer":
            sealed = sealed[:50] + bytes([sealed[50] ^ 1]) + sealed[51:]
        if fault == "close after":
            request.close_connection = True
        self.send(request, status, sealed)

    def exchange(self, sequence, tag, content):
        world = {"world_state": {"utc": "2026-01-02T03:04:05Z", "unix_ms": 1767323045000},
                 "input_variables": self.inputs}
        if self.update:
            world["update"] = {"commit": self.update}
            if self.attempt:
                world["update"]["attempt"] = self.attempt
            if self.attempt and self.runs == self.update:
                del world["update"]
        if sequence == 0:
            self.hellos += 1
            return 200, dict(world, next=self.mark + 1)
        if sequence <= self.mark:
            return 409, {"error": "sequence", "next": self.mark + 1,
                         "accepted": sequence == self.mark and tag == self.mark_tag}
        readings = content.get("output_variables", [])
        errors = [{"field": "output_variables[%d].values.%s" % (at, name), "detail": "is not wanted here"}
                  for at, reading in enumerate(readings) for name in reading["values"] if name in self.bad_names]
        errors += [{"field": "unit_state.%s" % name, "detail": "is not wanted here"}
                   for name in content.get("unit_state", {}) if name in self.bad_names]
        if errors:
            return 422, {"error": "invalid", "detail": "some values are wrong", "errors": errors[:8]}
        self.mark, self.mark_tag = sequence, tag
        if "commit" in content.get("unit_state", {}):
            self.runs = content["unit_state"]["commit"]
            if self.attempt and self.runs == self.update:
                world.pop("update", None)
        if "update" in content:
            self.reports.append(content["update"])
            if content["update"]["state"] in ("failed", "rolled_back") and \
                    (content["update"]["commit"], content["update"]["attempt"]) == (self.update, self.attempt):
                self.update = self.attempt = None
                world.pop("update", None)
        self.stored += [reading["values"] for reading in readings]
        self.ages += [reading["age_ms"] for reading in readings]
        self.states.append(content.get("unit_state"))
        return 200, world

    def lines_of(self, commit, have):
        def parts(entry):
            return entry if isinstance(entry, tuple) else (entry, False)

        new, old = self.versions[commit], self.versions.get(have, {})
        lines = []
        for path in sorted(set(new) | set(old), key=str.encode):
            if path not in new:
                lines.append({"path": path, "delete": True})
            elif new[path] != old.get(path):
                content, executable = parts(new[path])
                lines.append({"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
                if executable:
                    lines[-1]["executable"] = True
        return lines

    def about_update(self, question):
        if question["commit"] != self.update:
            return {"error": "version", **({"commit": self.update, "attempt": self.attempt} if self.update else {})}
        self.asked.append(question)
        if question["ask"] == "manifest":
            lines = self.manifest or self.lines_of(question["commit"], question.get("have"))
            begin = question["from"]
            page = {"commit": question["commit"], "count": len(lines), "from": begin, "files": lines[begin:],
                    "bytes": sum(line.get("size", 0) for line in lines if isinstance(line.get("size", 0), int))}
            while len(json.dumps(page)) > question["max_answer_bytes"]:
                page["files"].pop()
                page["next"] = begin + len(page["files"])
            return page
        content = self.versions[question["commit"]][question["path"]]
        content = content[0] if isinstance(content, tuple) else content
        return content[question["offset"]:question["offset"] + question["length"]]

    @staticmethod
    def plain(request, status):
        text = b'{"title":"a problem"}'
        request.send_response(status)
        request.send_header("Content-Type", "application/problem+json")
        request.send_header("Content-Length", str(len(text)))
        request.send_header("Retry-After", "7")
        request.end_headers()
        request.wfile.write(text)

    @staticmethod
    def send(request, status, body):
        request.send_response(status)
        request.send_header("Content-Type", "application/octet-stream")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
