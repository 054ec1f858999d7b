# The WebSocket (RFC 6455) of pepeunit.py: exchanges go over it, and inputs come by themselves. PROTOCOL.md of Pepeunit,
# "Over a WebSocket". A device without this file goes on over HTTP. Licence: Apache-2.0.
import hashlib
import json
import os
import struct
import time
from binascii import b2a_base64

try:
    from select import POLLIN, poll
except ImportError:
    from uselect import POLLIN, poll

MOST = 66000  # bytes of a message: a piece of a file has 65536


class Push:
    # A WebSocket where there is one, else HTTP: the same bytes twice change nothing.

    def __init__(self, unit):
        self.unit, self.socket = unit, None
        self._failures, self._at, self._look = 0, 0, False  # when it is tried again; whether something may be missed

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None

    def _lose(self, why, least_ms=1000):
        self.close()
        self.unit.log('pepeunit: no WebSocket:', why)
        self._failures, self._look = min(self._failures + 1, 10), True
        self._at = self.unit.now() + self.unit._pause_ms(self._failures, 0, least_ms)

    def ask(self, body):
        # As Unit._post().
        self._look = False
        if not self.socket and self.unit.now() >= self._at:
            try:
                self.socket = Socket(self.unit)
            except OSError as e:
                self._lose(e, 60000)
        if self.socket:
            try:
                self.unit._sent = True
                return self.socket.ask(body)
            except OSError as e:
                self._lose(e)
        return self.unit._post(body)

    def settle(self, answer, sealed):
        # With each answer that was opened.
        if self.socket and not answer.get('error'):
            if self.socket.settle(answer, sealed):
                self._failures = 0
            else:
                self._lose('something that was pushed is missing')

    def due(self):
        # Whether an exchange is due for the inputs' sake.
        return self._look or self.socket is None and 0 < self._at <= self.unit.now()

    def wait(self, ms, changed=None):
        # Until something comes, or the time is over; then calls changed(unit) if inputs have changed.
        if not self.socket:
            return time.sleep(ms / 1000)
        news = False
        try:
            news = self.socket.wait(ms)
        except OSError as e:
            self._lose(e)
        if news and changed:
            changed(self.unit)


class Socket:
    # Every method raises OSError when the connection does not hold, and then it has to be closed.

    def __init__(self, unit):
        self.unit = unit
        self.begun, self.pushes, self.changed = None, 0, False
        unit.close()
        unit._connect()
        self.socket, unit._socket = unit._socket, None
        self._until(unit.timeout_ms)
        try:
            self._open()
            self._poll = poll()
            self._poll.register(self.socket, POLLIN)
        except Exception as e:
            self.close()
            raise e if isinstance(e, OSError) else OSError('not an HTTP answer: %s' % e)

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None

    def _until(self, ms):
        self._deadline = self.unit.now() + ms

    def _open(self):
        unit, key = self.unit, b2a_base64(os.urandom(16)).strip()
        self.socket.sendall((
            'GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
            'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: pepeunit.v1\r\nSec-WebSocket-Key: %s\r\n\r\n' % (
                unit._path.replace('/v1/exchange', '/v1/socket'), unit._host_header, unit.env['PEPEUNIT_TOKEN'],
                key.decode())).encode())
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            head += self._exactly(1)  # what comes behind it is a frame
            if len(head) > 2048:
                raise OSError('the answer is too large')
        status = int(head.split(b' ')[1])
        if status != 101:
            raise OSError('HTTP %d' % status)
        if hasattr(hashlib, 'sha1'):
            accept = b2a_base64(hashlib.sha1(key + b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest()).strip()
            if accept not in head:
                raise OSError('not a WebSocket')

    def _exactly(self, count):
        data = b''
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise OSError('the connection was closed')
            if self.unit.now() > self._deadline:
                raise OSError('the answer takes too long')
            data += piece
        return data

    def _send(self, opcode, data):
        size, mask = len(data), os.urandom(4)
        head = struct.pack('>BB', 0x80 | opcode, 0x80 | size) if size < 126 else struct.pack('>BBH', 0x80 | opcode, 0xfe, size)
        self.socket.sendall(head + mask + bytes([b ^ mask[i & 3] for i, b in enumerate(data)]))

    def _message(self):
        # The next message: its opcode (1 text, 2 binary) and its bytes.
        opcode, data = 0, b''
        while True:
            first, size = self._exactly(2)
            if size > 125:
                size = struct.unpack('>H', self._exactly(2))[0] if size == 126 else struct.unpack('>Q', self._exactly(8))[0]
            if len(data) + size > MOST:
                raise OSError('a message is too large')
            piece, kind = self._exactly(size), first & 15
            if kind == 9:
                self._send(10, piece)
            elif kind == 8:
                raise OSError('closed by the instance: %s' % (piece[2:].decode() or 'no reason'))
            elif kind < 3:
                opcode, data = kind or opcode, data + piece
                if first & 0x80:
                    return opcode, data

    def ask(self, body):
        # As Unit._post().
        self._until(self.unit.timeout_ms)
        self._send(2, body)
        while True:
            opcode, data = self._message()
            if opcode == 1:
                status = json.loads(data).get('status')
                return status if isinstance(status, int) else 503, 0, b''
            if data[3:4] != b'\x06':
                return 200, 0, data
            self._take(data)

    def settle(self, answer, sealed):
        # With each good answer: False when a push before it was lost on the way.
        if not self.begun:
            self.begun = sealed[-32:]
        return answer.get('pushes') == self.pushes

    def wait(self, ms):
        # Until something comes, or the time is over: whether inputs have changed.
        if self._poll.poll(ms):
            self._until(self.unit.timeout_ms)
            opcode, data = self._message()
            if data[3:4] != b'\x06':
                raise OSError('a message that nobody asked for')
            self._take(data)
        changed, self.changed = self.changed, False
        return changed

    def _take(self, sealed):
        text = self.begun and self.unit._open(6, self.pushes + 1, self.begun, sealed)
        if not text:
            raise OSError('a push is not the next')
        self.pushes += 1
        push, offer = json.loads(text), self.unit.offer
        self.changed = self.changed or bool(push['input_variables'])
        if offer and 'update' not in push:
            push['update'] = {'commit': offer[0], 'attempt': offer[1]}
        self.unit._take(push)
