# The device's side of Pepeunit in one file: the same for MicroPython (ESP8266 and up) and CPython 3.9 and up, with
# standard modules only. The lines `# ---- name` part it into pieces that a board with a small heap can
# compile one by one (see the README). The protocol is libs/envelope/PROTOCOL.md of Pepeunit. Licence: Apache-2.0.
import gc
import hashlib
import json
import os
import socket
import struct
import sys
import time
from binascii import a2b_base64, unhexlify

try:
    from cryptolib import aes
except ImportError:
    try:
        from ucryptolib import aes
    except ImportError:
        aes = None

SMALL = sys.implementation.name == 'micropython'


# ---- AES

def _software_aes():
    # AES-256-CBC (FIPS 197) with the interface of MicroPython's cryptolib, for Pythons without it. Not constant-time.
    box = [0x63] * 256
    p = q = 1
    for _ in range(255):
        p = (p ^ p << 1 ^ (p >> 7) * 0x11b) & 0xff
        for shift in (1, 2, 4):
            q ^= q << shift
        q &= 0xff
        q ^= (q >> 7) * 9
        x = q * 0x101
        box[p] = (x ^ x >> 7 ^ x >> 6 ^ x >> 5 ^ x >> 4) & 0xff ^ 0x63
    inverse = [0] * 256
    for i in range(256):
        inverse[box[i]] = i

    def times(factor):
        table = []
        for i in range(256):
            total = 0
            for bit in range(4):
                total ^= (i << bit) * (factor >> bit & 1)
            for bit in (10, 9, 8):
                total ^= (total >> bit & 1) * (0x11b << bit - 8)
            table.append(total)
        return table

    def mix(s, a, b, c, d):
        return [a[s[i]] ^ b[s[i & 12 | i + 1 & 3]] ^ c[s[i & 12 | i + 2 & 3]] ^ d[s[i & 12 | i + 3 & 3]]
                for i in range(16)]

    one, two, three = range(256), times(2), times(3)
    nine, eleven, thirteen, fourteen = times(9), times(11), times(13), times(14)

    class Aes:
        def __init__(self, key, mode, iv):
            words = [list(key[i:i + 4]) for i in range(0, 32, 4)]
            constant = 1
            for i in range(8, 60):
                word = words[-1]
                if i % 8 == 0:
                    word = [box[b] for b in word[1:] + word[:1]]
                    word[0] ^= constant
                    constant <<= 1
                elif i % 8 == 4:
                    word = [box[b] for b in word]
                words.append([x ^ y for x, y in zip(words[-8], word)])
            self.keys = [sum(words[i:i + 4], []) for i in range(0, 60, 4)]
            self.last = iv

        def encrypt(self, data):
            out = b''
            for at in range(0, len(data), 16):
                s = [a ^ b ^ k for a, b, k in zip(data[at:at + 16], self.last, self.keys[0])]
                for n in range(1, 15):
                    s = [box[s[i + 4 * (i & 3) & 15]] for i in range(16)]
                    if n < 14:
                        s = mix(s, two, three, one, one)
                    s = [a ^ k for a, k in zip(s, self.keys[n])]
                self.last = bytes(s)
                out += self.last
            return out

        def decrypt(self, data):
            out = b''
            for at in range(0, len(data), 16):
                block = data[at:at + 16]
                s = [a ^ k for a, k in zip(block, self.keys[14])]
                for n in range(13, -1, -1):
                    s = [inverse[s[i - 4 * (i & 3) & 15]] ^ self.keys[n][i] for i in range(16)]
                    if n:
                        s = mix(s, fourteen, eleven, thirteen, nine)
                out += bytes([a ^ b for a, b in zip(s, self.last)])
                self.last = block
            return out

    return Aes


if aes is None:
    aes = _software_aes()


# ---- envelopes

def hmac(key, *parts):
    # HMAC-SHA256 (RFC 2104) with a key of 32 bytes; MicroPython's sha256 has only update() and digest().
    inner = hashlib.sha256(bytes([b ^ 0x36 for b in key]) + b'\x36' * 32)
    for part in parts:
        inner.update(part)
    return hashlib.sha256(bytes([b ^ 0x5c for b in key]) + b'\x5c' * 32 + inner.digest()).digest()


def finite(value):
    if isinstance(value, dict):
        return finite(list(value.values()))
    if isinstance(value, (list, tuple)):
        return all([finite(v) for v in value])
    return not isinstance(value, float) or value - value == 0


def subkey(key, label):
    return hmac(key, b'pepeunit v1 ' + label + b'\x01')


def seal(encrypt, authenticate, head, text, iv):
    pad = 16 - len(text) % 16
    sealed = head + iv + aes(encrypt, 2, iv).encrypt(text + bytes([pad]) * pad)
    return sealed + hmac(authenticate, sealed)


def open_answer(encrypt, authenticate, head, request_tag, sealed):
    # The plaintext of the answer to the request with this tag, or None when it is not that.
    if len(sealed) < 92 or len(sealed) % 16 != 12 or sealed[:28] != head:
        return None
    different = 0
    for x, y in zip(hmac(authenticate, sealed[:-32], request_tag), sealed[-32:]):
        different |= x ^ y
    if different:
        return None
    text = aes(encrypt, 2, sealed[28:44]).decrypt(sealed[44:-32])
    return text[:-text[-1]] if 1 <= text[-1] <= 16 else None


def compile_pieces(path, names):
    # Runs a file piece by piece, which takes little heap at a time.
    piece = ''
    with open(path) as source:
        for line in source:
            if line.startswith('# ----'):
                exec(piece, names)
                piece = ''
                gc.collect()
            piece += line
    exec(piece, names)


# ---- readings

class Readings:
    # What the program has measured and the instance has not yet stored.

    def now(self):
        # Milliseconds since the start. Has to be called at least once in three days on MicroPython, whose ticks wrap.
        if SMALL:
            ticks = time.ticks_ms()
            self._clock += time.ticks_diff(ticks, self._ticks)
            self._ticks = ticks
            return self._clock
        return int((time.monotonic() - self._ticks) * 1000)

    @property
    def utc_ms(self):
        # Unix time in ms as the instance told it, or None before the first answer.
        return self._utc and self._utc[0] + self.now() - self._utc[1]

    def state(self, **facts):
        # Facts about the unit itself (`unit_state`); a later value replaces an earlier one.
        for name in facts:
            value = facts[name]
            if name not in self._muted and finite(value) and (name not in self._state or self._state[name] != value):
                json.dumps(value)  # what cannot be sent raises here
                self._state[name] = value
                self._news = True

    def put(self, name, value):
        self.report({name: value})

    def report(self, values):
        # Queues a reading of one or more output variables, measured now. A full queue loses its oldest.
        good = {}
        for name in values:
            value = values[name]
            if name not in self.outputs:
                self._lose('%s is not an output variable of schema.json' % name)
            elif not finite(value):
                self._lose('%s is not a finite number' % name)
            else:
                good[name] = value
        if not good:
            return
        text = json.dumps(good)
        if len(text) + 80 > self.max_body:
            return self._lose('a reading of %d bytes is too large' % len(text))
        self._queue.append([self.now(), text])
        self._trim()

    def _lose(self, why):
        self.dropped += 1
        self.log('pepeunit: dropped:', why)

    def _trim(self):
        while len(self._queue) > self.max_queue:
            self._queue.pop(0)
            self.dropped += 1

    def waiting(self):
        # How many readings are not known to be stored.
        return len(self._queue) + len(self._batch)


# ---- requests

class Requests(Readings):
    # Readings sealed into requests.

    def _head(self, kind, sequence):
        return b'PU\x01' + bytes([kind]) + self._uuid + struct.pack('>Q', sequence)

    def _seal(self, sequence, text, kind=1):
        return seal(self._keys[0], self._keys[1], self._head(kind, sequence), text, os.urandom(16))

    def _open(self, kind, sequence, request, sealed):
        return open_answer(self._keys[2], self._keys[3], self._head(kind, sequence), request[-32:], sealed)

    def _tell(self, report):
        # Where the update is: goes out with the next request, until one is accepted.
        self._report, self._news = report, True

    def _prepare(self):
        # Seals the oldest readings, as many as the body holds, under the next sequence.
        state = json.dumps(self._state)
        if len(state) > 2048:
            self.log('pepeunit: dropped: the state is too large')
            self._state = {n: self._state[n] for n in self._state if n == 'commit'}
            state = json.dumps(self._state)
        if self._report:
            state += ',"update":' + json.dumps(self._report)
        size, now, parts = len(state) + 80, self.now(), []
        for moment, text in self._queue:
            part = '{"age_ms":%d,"values":%s}' % (now - moment, text)
            size += len(part.encode()) + 1
            if parts and size > self.max_body or len(parts) == 64:
                break
            parts.append(part)
        self._sealed = self._seal(self._next, (
            '{"unit_state":%s,"output_variables":[%s]}' % (state, ','.join(parts))).encode())
        self._batch, self._queue = self._queue[:len(parts)], self._queue[len(parts):]
        self._sequence, self._news, self._sent = self._next, False, False
        self._reporting = self._report

    def _unseal(self):
        # The sealed request is certain not to be stored: its readings wait again.
        self._queue = self._batch + self._queue
        self._batch, self._sealed, self._news = [], None, True
        self._trim()


# ---- connection

class Connection(Requests):
    # As much of HTTP/1.1 as it takes.

    def _target(self, url):
        if not url.startswith('http://'):
            raise ValueError('PEPEUNIT_URL must begin with http://')  # the bodies are sealed, TLS is not needed
        rest = url[7:]
        slash = rest.find('/')
        host, self._path = (rest, '') if slash < 0 else (rest[:slash], rest[slash:])
        self._path = self._path.rstrip('/') + '/v1/exchange'
        self._host_header = host
        colon = host.rfind(':')
        port = 80
        if colon > host.rfind(']'):
            host, port = host[:colon], int(host[colon + 1:])
        self.host, self.port = host.strip('[]'), port

    def close(self):
        if self._socket:
            self._socket.close()
            self._socket = None

    def _connect(self):
        error = None
        for family, kind, protocol, _, address in socket.getaddrinfo(self.host, self.port, 0, socket.SOCK_STREAM):
            try:
                self._socket = socket.socket(family, kind, protocol)
                self._socket.settimeout(self.timeout_ms / 1000)
                self._socket.connect(address)
                return
            except OSError as e:
                error = e
                self.close()
        raise error or OSError('no address')

    def _post(self, body, path=None, most=4096):
        # (HTTP status, seconds of Retry-After, body). A kept connection that turns out to be closed is opened again:
        # the same bytes twice change nothing.
        begin = self.now()
        request = ('POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/octet-stream'
                   '\r\nContent-Length: %d\r\n\r\n' % (path or self._path, self._host_header, self.env['PEPEUNIT_TOKEN'],
                                                       len(body))).encode()
        kept = self._socket is not None
        while True:
            try:
                if not self._socket:
                    self._connect()
                self._sent = True
                self._socket.sendall(request + body)  # in one: a second would wait for the first to be acknowledged
                return self._receive(most)
            except OSError:
                self.close()
                if not kept or self.now() - begin > self.timeout_ms // 2:
                    raise
                kept = False
            except Exception as e:
                self.close()
                raise OSError('not an HTTP answer: %s' % e)

    def _receive(self, most):
        deadline = self.now() + self.timeout_ms
        data, head, length = b'', None, 0
        while head is None or len(data) < length:
            if self.now() > deadline:
                raise OSError('the answer takes too long')
            piece = self._socket.recv(512)
            if not piece:
                raise OSError('the connection was closed')
            data += piece
            end = data.find(b'\r\n\r\n') if head is None else -1
            if end >= 0:
                head, data = data[:end].lower().split(b'\r\n'), data[end + 4:]
                fields = {}
                for line in head[1:]:
                    colon = line.find(b':')
                    fields[line[:colon]] = line[colon + 1:].strip()
                length = int(fields[b'content-length'])
            if length > most or head is None and len(data) > 2048:
                raise OSError('the answer is too large')
        if fields.get(b'connection') == b'close' or len(data) > length:
            self.close()
        retry = fields.get(b'retry-after', b'')
        return int(head[0].split(b' ')[1]), int(retry) if retry.isdigit() else 0, data[:length]


# ---- answers

class Answers(Connection):
    # What follows from an answer that was opened.

    def _take(self, answer):
        world = answer.get('world_state')
        if world and world.get('unix_ms'):
            self._utc = (world['unix_ms'], self.now())
        if 'input_variables' in answer:
            self.inputs.update(answer['input_variables'])
            offered = answer.get('update') or {}
            self.update = offered.get('commit')
            self.offer = (self.update, offered['attempt']) if self.update and 'attempt' in offered else None

    def _accepted(self):
        # The request that was under way is stored.
        self._batch, self._sealed = [], None
        if self._report is self._reporting:
            self._report = None
        if self._guard:
            self._guard.accepted(self._reporting)

    def _refused(self, answer):
        # Takes out what the instance names as wrong, so that one bad value never holds up the others.
        bad = {}
        found = False
        for problem in answer.get('errors') or []:
            field = str(problem.get('field'))
            self.log('pepeunit: refused:', field, problem.get('detail'))
            name = field[11:]
            if field.startswith('unit_state') and name in self._state:
                del self._state[name]
                self._muted.append(name)
                found = True
            elif field == 'unit_state':
                self._state = {n: self._state[n] for n in self._state if n == 'commit'}
                found = True
            elif field.startswith('update'):
                self._report = None
                found = True
            elif field.startswith('output_variables['):
                end = field.find(']')
                at = field[17:end]
                if at.isdigit() and int(at) < len(self._batch):
                    bad.setdefault(int(at), []).append(field[end + 9:])  # ].values.<name>
        for at in bad:
            values = json.loads(self._batch[at][1])
            before = len(values)
            for name in bad[at]:
                values.pop(name, None)
            self.dropped += before - len(values) or before
            self._batch[at][1] = json.dumps(values) if values and len(values) < before else None
        if not bad and not found:
            self._lose('%d readings: %s' % (len(self._batch), answer.get('detail')))
            self._batch, self._report = [], None
            self._state = {n: self._state[n] for n in self._state if n == 'commit'}
        self._batch = [reading for reading in self._batch if reading[1]]
        self._unseal()


# ---- exchange

class Exchange(Answers):
    # The rules of the sequence, and of waiting.

    def wait_ms(self):
        return max(0, self._not_before - self.now())

    def _pause_ms(self, failures, wait_ms=0, least_ms=1000):
        # Twice as long after each failure in a row, at least as long as asked for, with jitter.
        wait = max(min(least_ms << failures - 1, 60000 if least_ms < 60000 else 900000), min(wait_ms, 900000))
        return (wait if wait_ms else wait // 2) + wait * (os.urandom(1)[0] + 1) // 512

    def _fail(self, wait_ms=0, least_ms=1000):
        self._failures = min(self._failures + 1, 10)
        self._not_before = self.now() + self._pause_ms(self._failures, wait_ms, least_ms)

    def _ask(self, sequence, body):
        # The opened answer, or None after a failure. What is not sealed proves nothing: it only says how long to wait.
        try:
            status, retry, data = (self._push.ask if self._push else self._post)(body)
        except OSError as e:
            self.log('pepeunit: no exchange:', e)
            if self._sealed and not self._sent:
                self._unseal()  # the ages are told anew
            self._fail()
            return None
        text = self._open(2, sequence, body, data)
        try:
            answer = json.loads(text)
            if isinstance(answer, dict):
                if self._push:
                    self._push.settle(answer, data)
                return answer
        except (ValueError, TypeError):
            pass
        self.log('pepeunit: refused: HTTP', status, '(is env.json up to date?)' if status == 401 else '')
        self._fail(retry * 1000, 60000 if status == 401 else 1000)
        return None

    def exchange(self):
        # One exchange: the oldest readings and the state there, time and inputs back. False when it has to be tried
        # again; not before `wait_ms()`.
        for _ in range(20):
            hello = not self._next or not (self._sealed or self._queue or self._news)
            if not hello and not self._sealed:
                self._prepare()
            sequence = 0 if hello else self._sequence
            answer = self._ask(sequence, self._seal(0, b'{}') if hello else self._sealed)
            if answer is None:
                return False
            error, following = answer.get('error'), answer.get('next')
            if not error or error == 'sequence':
                if not error and not hello:
                    following = sequence + 1
                if not isinstance(following, int) or following < 1:
                    following = 0  # ask again
                self._next = following
            if error == 'sequence':
                if not answer.get('accepted'):
                    self._unseal()
                    continue
            elif error == 'invalid' and not hello:
                self._refused(answer)
                continue
            elif error:
                self.log('pepeunit: the instance is', error)
                self._fail(int(answer.get('retry_after_ms') or 1000))
                return False
            if not hello:
                self._accepted()
            self._take(answer)
            if not (hello and (self._sealed or self._queue or self._news)):
                self._failures = self._not_before = 0
                return True
        self._fail()
        return False


# ---- unit

class Unit(Exchange):
    # One device. Not for use from several threads at once.
    #
    # inputs  the newest values of the input variables, by name
    # push    whether a WebSocket is kept over which they come at once; None: where there is memory for it
    # update  the commit that the instance wants here, or None
    # offer   (commit, attempt) of it, or None
    # dropped how many readings were lost for want of space, or refused

    def __init__(self, folder=None, max_queue=24 if SMALL else 1000, max_body=1024 if SMALL else 4096, timeout_s=10,
                 update_chunk=1024 if SMALL else 16384, log=print, push=None):
        if folder is None:
            at = __file__.replace('\\', '/').rfind('/')
            folder = __file__[:at] if at > 0 else '.'
        with open(folder + '/env.json') as file:
            self.env = json.load(file)
        with open(folder + '/schema.json') as file:
            schema = json.load(file)
        about = schema.get('pepeunit', {})
        if not about.get('unit'):
            raise ValueError('schema.json does not say which unit this is: take it from the zip of the unit')
        inputs, outputs = schema.get('input_variables', {}), schema.get('output_variables', {})
        self.inputs = {n: inputs[n].get('default') if isinstance(inputs, dict) else None for n in inputs}
        self.outputs = [n for n in outputs]
        self.update = self.offer = None
        self.dropped = 0
        self.max_queue, self.max_body, self.timeout_ms, self.log = max_queue, max_body, timeout_s * 1000, log

        key = a2b_base64(self.env['SYNC_ENCRYPT_KEY'].encode())
        if len(key) != 32:
            raise ValueError('SYNC_ENCRYPT_KEY in env.json is not 32 bytes in base64')
        self._keys = [subkey(key, d + u) for d in (b'request ', b'answer ') for u in (b'encrypt', b'authenticate')]
        self._uuid = unhexlify(about['unit'].replace('-', ''))
        self._target(self.env['PEPEUNIT_URL'])
        self._socket = None
        self._clock, self._ticks = 0, time.ticks_ms() if SMALL else time.monotonic()
        self._utc = None             # (Unix time in ms, now() when it was told)
        self._next = 0               # the sequence to use next; 0: the instance has to be asked
        self._queue = []             # [now() of the measurement, JSON text of the values]
        self._sealed = None          # a request that may have been stored: it is sent again as it is until that is known
        self._sequence, self._batch, self._sent = 0, [], False  # its sequence, its readings, whether it ever left
        self._state, self._muted, self._news = {}, [], False
        self._failures, self._not_before = 0, 0
        self._push = None
        if not SMALL or gc.mem_free() > 60000 if push is None else push:
            try:
                from pepeunit_socket import Push
                self._push = Push(self)
            except (ImportError, MemoryError):
                pass
        self._guard = sys.modules.get('pepeunit_guard')  # there when boot.py has started the program
        self._updater, self._settled, self._chunk = None, None, update_chunk
        self._report, self._reporting = self._guard and self._guard.state.get('end'), None
        if about.get('commit'):
            self.state(commit=about['commit'])

    def update_step(self):
        # One small step of the update that is offered: how many ms until the next, or None when there is none to do.
        # Ends by the guard's Restart (a SystemExit) when the new version is ready to be started.
        if not self._updater:
            step = self._guard and self._guard.state.get('step')
            withdrawn = step in ('plan', 'fetch') and self._utc and not self.offer  # while this was off
            if self._report or self.offer == self._settled and not withdrawn:
                return None
            if step == 'trial':
                return None  # this version has not proved itself yet
            try:
                self._updater = self._load_updater()
            except (ImportError, MemoryError) as e:
                return self._cannot_update(repr(e))
        following = self._updater.step()
        if following is None:
            self._updater = None
            sys.modules.pop('pepeunit_update', None)
        return following

    def _load_updater(self):
        if not self._guard:
            raise ImportError('the program was not started by boot.py')
        names = {}
        try:
            if SMALL:
                compile_pieces(self._guard.FOLDER + '/pepeunit_update.py', names)
        except OSError:
            pass  # there is a pepeunit_update.mpy
        if not names:
            from pepeunit_update import Update
            return Update(self)
        return names['Update'](self)

    def _cannot_update(self, why):
        self._settled = self.offer
        if not self.offer:
            return  # one that was withdrawn
        self.log('pepeunit: no update:', why)
        self._tell({'commit': self.offer[0], 'attempt': self.offer[1], 'state': 'failed', 'reason': why[:120]})

    def run(self, sample=None, period_s=10, changed=None):
        # Every `period_s` calls sample(unit), which returns the values of outputs or None, and exchanges; after an
        # exchange calls changed(unit). Ends by an exception only (KeyboardInterrupt, SystemExit).
        period = int(period_s * 1000)
        due = self.now()
        try:
            while True:
                now = self.now()
                if now >= due:
                    due = max(due + period, now + period // 2)
                    try:
                        self.report(sample(self) or {} if sample else {})
                    except Exception as e:
                        self.log('pepeunit: no reading:', repr(e))
                    again = True
                if again and not self.wait_ms():
                    try:
                        again = not self.exchange() or bool(self._queue)
                    except MemoryError:
                        self.log('pepeunit: out of memory')
                        self._fail()
                    if changed and not self._failures:
                        changed(self)
                following = self.update_step()
                again = again or self._report is not None or self._push and self._push.due()
                rest = due - self.now()
                if again:
                    rest = min(rest, self.wait_ms())
                if following is not None:
                    rest = min(rest, following)
                if rest > 0:
                    rest = min(rest, 1000)
                    self._push.wait(rest, changed) if self._push else time.sleep(rest / 1000)
        finally:
            self.close()
            if self._push:
                self._push.close()
            if self.waiting():
                self.log('pepeunit: stopped; readings not known to be stored:', self.waiting())
