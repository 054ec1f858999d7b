"""A device of the tests' own, after libs/envelope/PROTOCOL.md, that shares nothing with the client: it can also misbehave."""
import base64
import hashlib
import hmac
import http.client
import io
import json
import os
import socket
import struct
import threading
import time
import urllib.parse
import uuid
import zipfile

import websocket
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def expand(key, info):
    return hmac.new(key, b"pepeunit v1 " + info + b"\x01", hashlib.sha256).digest()


class Answer:
    def __init__(self, status, headers, body, line=""):
        self.status, self.headers, self.body = status, headers, body
        self.sealed = headers.get("content-type", "").startswith("application/octet-stream")
        self.json = None
        self.piece = None  # bytes of a file
        # On the wire, with the status line and the headers.
        self.size = len(line) + 4 + sum(len(k) + len(v) + 4 for k, v in headers.items()) + len(body)

    def problem(self):
        return json.loads(self.body)


class Device:
    def __init__(self, archive=None, env=None, unit=None, url=None):
        if archive is not None:
            with zipfile.ZipFile(io.BytesIO(archive)) as z:
                env = json.loads(z.read("env.json"))
                unit = json.loads(z.read("schema.json"))["pepeunit"]["unit"]
        self.env, self.unit = env, uuid.UUID(unit)
        self.url = url or env["PEPEUNIT_URL"]
        self.token = env["PEPEUNIT_TOKEN"]
        self.set_key(base64.b64decode(env["SYNC_ENCRYPT_KEY"]))
        self.next = None
        self.inputs, self.world = {}, {}
        self.last_body = None
        self._connection = None

    def set_key(self, key):
        self.key = key
        self.keys = {name: expand(key, name.encode()) for name in
                     ("request encrypt", "request authenticate", "answer encrypt", "answer authenticate")}

    def seal(self, sequence, plaintext, version=1, kind=1):
        if not isinstance(plaintext, bytes):
            plaintext = json.dumps(plaintext).encode()
        pad = 16 - len(plaintext) % 16
        iv = os.urandom(16)
        encryptor = Cipher(algorithms.AES(self.keys["request encrypt"]), modes.CBC(iv)).encryptor()
        before = (b"PU" + bytes([version, kind]) + self.unit.bytes + struct.pack(">Q", sequence) + iv +
                  encryptor.update(plaintext + bytes([pad]) * pad) + encryptor.finalize())
        return before + hmac.new(self.keys["request authenticate"], before, hashlib.sha256).digest()

    def open(self, request, answer, kinds=(2,)):
        """The answer's kind and plaintext; AssertionError when it is not the answer to this request."""
        expected = hmac.new(self.keys["answer authenticate"], answer[:-32] + request[-32:], hashlib.sha256).digest()
        assert hmac.compare_digest(expected, answer[-32:]), "the answer does not verify"
        assert answer[:3] == b"PU\x01" and answer[3] in kinds and answer[4:20] == self.unit.bytes and answer[20:28] == request[20:28]
        decryptor = Cipher(algorithms.AES(self.keys["answer encrypt"]), modes.CBC(answer[28:44])).decryptor()
        plain = decryptor.update(answer[44:-32]) + decryptor.finalize()
        return answer[3], plain[:-plain[-1]]

    def post(self, body, token=None, url=None, headers=None, timeout=15, path="/v1/exchange"):
        """Sends bytes as they are, once."""
        parts = urllib.parse.urlsplit(url or self.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        try:
            connection.request("POST", path, body, dict({"Authorization": "Bearer " + (self.token if token is None else token),
                                                                   "Content-Type": "application/octet-stream"}, **(headers or {})))
            response = connection.getresponse()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read(),
                            "HTTP/1.1 %d %s" % (response.status, response.reason))
        finally:
            connection.close()
        if answer.sealed:
            update = path == "/v1/update"
            kind, plain = self.open(body, answer.body, (4, 5) if update else (2,))
            if kind == 5:
                answer.piece = plain
            else:
                answer.json = json.loads(plain)
        return answer

    def ask_update(self, question):
        """Asks once about the version that is offered: `json` of the answer, or `piece`."""
        return self.post(self.seal(0, question, kind=3), path="/v1/update")

    def hellos(self, count):
        """The answers to as many hellos, sent at once on one connection, so that the sender's speed does not matter."""
        parts = urllib.parse.urlsplit(self.url)
        bodies = [self.seal(0, {}) for _ in range(count)]
        head = (f"POST /v1/exchange HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {self.token}\r\n"
                "Content-Type: application/octet-stream\r\nContent-Length: ")
        answers = []
        with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
            sender = threading.Thread(target=connection.sendall, daemon=True, args=(
                b"".join(head.encode() + f"{len(body)}\r\n\r\n".encode() + body for body in bodies),))
            sender.start()
            stream = connection.makefile("rb")
            for body in bodies:
                status = int(stream.readline().split()[1])
                headers = {k.lower(): v for k, v in http.client.parse_headers(stream).items()}
                answer = Answer(status, headers, stream.read(int(headers["content-length"])))
                if answer.sealed:
                    answer.json = json.loads(self.open(body, answer.body)[1])
                answers.append(answer)
            sender.join()
        return answers

    def hello(self):
        answer = self.post(self.seal(0, {}))
        if answer.status == 200:
            self.next = answer.json["next"]
            self._take(answer.json)
        return answer

    def _take(self, content):
        self.inputs, self.world = content["input_variables"], content["world_state"]

    def send(self, values=None, state=None, age_ms=0, raw=None):
        """One exchange without retries."""
        if self.next is None:
            answer = self.hello()
            assert answer.status == 200, (answer.status, answer.body)
        content = {} if raw is None else raw
        if values is not None:
            content["output_variables"] = [{"age_ms": age_ms, "values": values}]
        if state is not None:
            content["unit_state"] = state
        self.last_body = self.seal(self.next, content)
        answer = self.post(self.last_body)
        if answer.status == 200:
            self.next += 1
            self._take(answer.json)
        return answer

    def deliver(self, values, give_up):
        """As a device does it: the same bytes until the instance says that it has them. False after `give_up`."""
        body = None
        while time.monotonic() < give_up:
            try:
                if self.next is None:
                    if self.hello().status != 200:
                        time.sleep(0.1)
                        continue
                if body is None:
                    body = self.seal(self.next, {"output_variables": [{"age_ms": 0, "values": values}]})
                answer = self.post(body, timeout=10)
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
                continue
            if answer.status == 200 or (answer.status == 409 and answer.sealed and answer.json["accepted"]):
                self.next += 1
                return True
            if answer.status == 409 and answer.sealed:
                self.next, body = answer.json["next"], None
                continue
            time.sleep(0.1)
        return False


class Socket:
    """A device's WebSocket, with Debian's websocket-client: PROTOCOL.md, "Over a WebSocket"."""

    def __init__(self, device, token=None, **options):
        self.device, self.begun_by, self.pushed, self.pushes = device, None, 0, []
        url = device.url.replace("http://", "ws://") + "/v1/socket"
        self.ws = websocket.create_connection(
            url, header=["Authorization: Bearer " + (device.token if token is None else token)],
            subprotocols=["pepeunit.v1"], suppress_origin=True, timeout=15, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ws.close(timeout=1)

    def ask(self, plaintext, sequence=None, kind=1):
        """One exchange, or with kind 3 a question about an update: the answer's JSON, or the bytes of a file."""
        hello = sequence is None and kind == 1 and plaintext == {}
        if sequence is None:
            sequence = 0 if hello or kind == 3 else self.device.next
        sealed = self.device.seal(sequence, plaintext, kind=kind)
        return self.ask_sealed(sealed)

    def ask_sealed(self, sealed):
        self.ws.send_binary(sealed)
        while True:
            message = self.ws.recv()
            if isinstance(message, str):
                return json.loads(message)
            if message[3] == 6:
                self._pushed(message)
                continue
            kind, plain = self.device.open(sealed, message, (2, 4, 5))
            if kind == 5:
                return plain
            answer = json.loads(plain)
            if kind == 2 and "error" not in answer:
                if self.begun_by is None:
                    self.begun_by = message[-32:]
                assert answer["pushes"] == self.pushed
                self.device.inputs.update(answer["input_variables"])
                self.device.next = answer["next"] if "next" in answer else struct.unpack(">Q", sealed[20:28])[0] + 1
            return answer

    def _pushed(self, message):
        self.pushed += 1
        # The tag of the answer that began it stands for that of a request; the sequence counts the pushes.
        head = bytearray(32 + 28)
        head[20:28] = struct.pack(">Q", self.pushed)
        _, plain = self.device.open(bytes(head[:28]) + self.begun_by, message, (6,))
        push = json.loads(plain)
        self.pushes.append(push)
        self.device.inputs.update(push["input_variables"])
        return push

    def wait_for_push(self, timeout=15):
        self.ws.settimeout(timeout)
        message = self.ws.recv()
        assert isinstance(message, bytes) and message[3] == 6, message
        return self._pushed(message)

    def wait_for(self, check, timeout=20):
        """Takes pushes until `check` of the inputs is true."""
        end = time.monotonic() + timeout
        while not check(self.device.inputs):
            self.wait_for_push(max(0.01, end - time.monotonic()))

    def closed_with(self, timeout=20):
        """The code with which the instance closes the connection; 1006 when it just ends."""
        self.ws.settimeout(timeout)
        while True:
            try:
                frame = self.ws.recv_frame()  # recv() would answer it, which the instance may not wait for
            except (websocket.WebSocketConnectionClosedException, ConnectionError):
                return 1006
            if frame.opcode == websocket.ABNF.OPCODE_CLOSE:
                return struct.unpack(">H", frame.data[:2])[0]
