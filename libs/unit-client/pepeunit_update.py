# Fetches the version that the instance offers to beside the one that runs; loaded by pepeunit.py when there is an offer.
# The lines `# ---- name` part it into pieces, as pepeunit.py. The protocol is libs/envelope/PROTOCOL.md of Pepeunit
# (section "Updates"), the journal on flash is told in pepeunit_guard.py. Licence: Apache-2.0.
import gc
import hashlib
import json
import os
import sys
from binascii import hexlify

guard = sys.modules['pepeunit_guard']
BLOCK = 4096            # a file takes whole blocks of the flash
PROTECTED = ('boot.py', 'pepeunit_guard.py')


class Failed(Exception):
    # The attempt ends; the text is the reason.
    pass


def size(path):
    try:
        return os.stat(path)[6]
    except OSError:
        return -1


def whole(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53


def checked(line):
    # A line of the manifest as the plan keeps it. Refuses names that could lead out of the folder of the program or to
    # what is not for the instance to write.
    path, digest = line.get('path'), line.get('sha256')
    if not isinstance(path, str):
        raise Failed('the manifest has a file without path')
    parts = path.lower().split('/')
    bad = parts == ['env.json'] or parts[0] == '.pepeunit'
    for part in parts:
        bad = bad or part[-1:] in ('', '.', ' ')  # also . and ..; FAT drops dots and blanks at the end of a name
    for letter in path:
        bad = bad or letter in '\\:' or ord(letter) < 32 or ord(letter) == 127
    if bad:
        raise Failed('the manifest has a path that is refused: ' + repr(path))
    if line.get('delete'):
        digest, plan = '', {'path': path, 'delete': True}
    else:
        if not whole(line.get('size')) or not isinstance(digest, str) or len(digest) != 64:
            raise Failed('the manifest has no size or hash of ' + path)
        plan = {'path': path, 'size': line['size'], 'sha256': digest}
        if line.get('executable'):
            plan['executable'] = True
    # The same file of another version has the same id, so that it need not be fetched again when the offer changes.
    plan['id'] = hexlify(hashlib.sha256((path + '\n' + digest).encode()).digest()[:10]).decode()
    return plan


# ---- asking

class Asking:
    # Requests about the version that is offered.

    def ask(self, question, most):
        # The opened answer: a dict, or bytes of a file, or None when it has to be asked again.
        unit = self.unit
        question['commit'] = self.commit
        request = unit._seal(0, json.dumps(question).encode(), 3)
        try:
            status, retry, data = unit._post(request, unit._path[:-8] + 'update', max(most + 192, 4096))
        except OSError as e:
            return self.later('no answer: %s' % e)
        if data[3:4] == b'\x05':
            piece = unit._open(5, 0, request, data)
            if piece is not None:
                self.failures = 0
                return piece
        try:
            answer = json.loads(unit._open(4, 0, request, data))
        except (ValueError, TypeError):
            return self.later('refused: HTTP %s' % status, retry * 1000)
        error = answer.get('error')
        if not error:
            self.failures = 0
            return answer
        if error == 'version':
            unit.offer = (answer['commit'], answer['attempt']) if answer.get('commit') else None
            return self.later('it is not offered any more') if unit.offer == self.offer else None
        if error == 'invalid':
            raise Failed(str(answer.get('detail')))
        return self.later('the instance is ' + str(error), int(answer.get('retry_after_ms') or 1000))

    def later(self, why, wait_ms=0):
        self.unit.log('pepeunit: update:', why)
        self.failures = min(self.failures + 1, 10)
        self.not_before = self.unit.now() + self.unit._pause_ms(self.failures, wait_ms)

    def report(self, state, reason=''):
        report = {'commit': self.commit, 'attempt': self.attempt, 'state': state, 'done': self.done, 'total': self.total}
        if reason:
            report['reason'] = reason
        self.reported = self.unit.now()
        self.unit._tell(report)

    def hashed(self, path):
        # Reads on in a file, a piece at a time: None until the end, then its SHA-256 in hex.
        if not self.reading:
            self.reading, self.sum = open(path, 'rb'), hashlib.sha256()
        piece = self.reading.read(self.chunk)
        if piece:
            self.sum.update(piece)
            return None
        self.reading.close()
        self.reading = None
        return hexlify(self.sum.digest()).decode()


# ---- planning

class Planning(Asking):
    # From the manifest to the plan: what really differs here.

    def begin(self):
        state = guard.state
        same = state.get('commit') == self.commit and state.get('attempt') == self.attempt
        if same and state.get('step') == 'fetch':
            return self.measure()
        guard.save({'step': 'plan', 'commit': self.commit, 'attempt': self.attempt, 'failed': state.get('failed', [])})
        with open(guard.HOME + 'plan', 'w'):
            pass
        self.page, self.next, self.last, self.count = [], 0, '', 0
        self.doing = self.plan
        return 0

    def plan(self):
        if self.page:
            return self.compare()
        if self.next is None:
            if self.count != self.expected:
                raise Failed('the manifest is not whole')
            guard.sync(guard.HOME + 'plan')
            return self.measure()
        answer = self.ask({'ask': 'manifest', 'have': self.unit._state.get('commit'), 'from': self.next,
                           'max_answer_bytes': self.page_bytes}, self.page_bytes)
        if answer is None:
            return 0
        if not isinstance(answer, dict) or answer.get('commit') != self.commit or answer.get('from') != self.next:
            raise Failed('the instance sent no page of the manifest')
        self.page, self.next, self.expected = answer['files'], answer.get('next'), answer['count']
        if not self.page and self.next is not None:
            raise Failed('a page of the manifest is empty')
        return 0

    def compare(self):
        # One file of the page; a file that is here already is not part of the plan.
        line = checked(self.page[0])
        path = guard.FOLDER + '/' + line['path']
        there = guard.kind(path) == 'file'
        if line['path'].lower() in PROTECTED:
            self.unit.log('pepeunit: update: left as it is, for it is never replaced over the air:', line['path'])
            differs = False
        elif line.get('delete'):
            differs = there
        else:
            differs = not there or size(path) != line['size'] or (
                line.get('executable', False) != bool(os.stat(path)[0] & 0o100) and hasattr(os, 'chmod'))
            if not differs:
                found = self.hashed(path)
                if found is None:
                    return 0
                differs = found != line['sha256']
        if line['path'] <= self.last:
            raise Failed('the manifest is not in order')
        self.last = line['path']
        self.count += 1
        if differs:
            with open(guard.HOME + 'plan', 'a') as file:
                file.write(json.dumps(line) + '\n')
        self.page.pop(0)
        return 0


# ---- room

class Room(Planning):
    def measure(self):
        # The plan is complete. Removes what an earlier plan has left, and looks whether there is room for the rest.
        guard.save(dict(guard.state, step='fetch'))
        for name in os.listdir(guard.HOME[:-1]):
            if name[:4] in ('new.', 'part', 'old.'):
                wanted = False
                for line in guard.lines():
                    wanted = wanted or name in ('new.' + line['id'], 'part.' + line['id'])
                if not wanted:
                    os.remove(guard.HOME + name)
        changes = need = self.done = self.total = 0
        for line in guard.lines():
            changes += 1
            if not line.get('delete'):
                bytes_here = max(size(guard.HOME + 'new.' + line['id']), size(guard.HOME + 'part.' + line['id']), 0)
                self.total += line['size']
                self.done += bytes_here
                need += (line['size'] + BLOCK - 1) // BLOCK * BLOCK - bytes_here // BLOCK * BLOCK
        if not changes:
            raise Failed('the version changes nothing here')
        if hasattr(os, 'statvfs'):
            room = os.statvfs(guard.FOLDER or '/')
            free = room[1] * room[4]
            if need + 4 * BLOCK > free:
                raise Failed('no room: it takes %d bytes, %d are free' % (need + 4 * BLOCK, free))
        self.report('downloading')
        self.lines, self.line = guard.lines(), None
        self.doing = self.fetch
        return 0


# ---- fetching

class Fetching(Room):
    def fetch(self):
        # One piece of one file, appended to what is here of it.
        line = self.line
        if not line:
            line = self.line = next(self.lines, None)
            if not line:
                self.report('verifying')
                self.lines = guard.lines()
                self.doing = self.verify
                return 0
        new, part = guard.HOME + 'new.' + line['id'], guard.HOME + 'part.' + line['id']
        if line.get('delete') or guard.kind(new):
            self.line = None
            return 0
        offset = max(size(part), 0)
        left = line['size'] - offset
        if left <= 0:
            if left:
                os.remove(part)  # not what it is taken for
                return 0
            if not line['size']:
                with open(part, 'w'):
                    pass
            if hasattr(os, 'chmod'):
                os.chmod(part, 0o755 if line.get('executable') else 0o644)
            guard.sync(part)
            os.rename(part, new)
            self.line = None
            return 0
        count = min(self.chunk, left)
        piece = self.ask({'ask': 'file', 'path': line['path'], 'offset': offset, 'length': count}, count)
        if piece is None:
            return 0
        if not isinstance(piece, bytes) or not 0 < len(piece) <= count:
            raise Failed('the instance sent no piece of ' + line['path'])
        with open(part, 'ab') as file:
            file.write(piece)
        self.done += len(piece)
        if self.unit.now() - self.reported >= 10000:
            self.report('downloading')
        return 0


# ---- verifying

class Verifying(Fetching):
    def verify(self):
        # Hashes what was written, as it reads back; a wrong file is fetched anew.
        line = self.line
        if not line:
            line = self.line = next(self.lines, None)
            if not line:
                guard.sync(guard.HOME)
                self.report('restarting')
                self.doing = self.ready
                return 0
        if not line.get('delete'):
            new = guard.HOME + 'new.' + line['id']
            found = self.hashed(new)
            if found is None:
                return 0
            if found != line['sha256']:
                tries = guard.state.get('tries', 0) + 1
                self.unit.log('pepeunit: update: wrong hash:', line['path'])
                if tries > 3:
                    raise Failed('the hash of %s is wrong' % line['path'])
                guard.save(dict(guard.state, tries=tries))
                os.remove(new)
                return self.measure()
        self.line = None
        return 0

    def ready(self):
        # Restarts when the instance knows, and has the readings; the latter are not worth more than a minute.
        unit = self.unit
        if unit._report or unit.waiting() and unit.now() - self.reported < 60000:
            return min(unit.wait_ms() or 100, 1000)
        guard.save(dict(guard.state, step='swap'))
        unit.log('pepeunit: update: restarting into', self.commit)
        raise guard.Restart()


# ---- update

class Update(Verifying):
    def __init__(self, unit):
        self.unit, self.chunk = unit, unit._chunk
        self.page_bytes = min(max(self.chunk, 1024), 4000)
        self.offer, self.memory = None, 0

    def start(self):
        # Begins with what is offered now. None when there is nothing to do.
        self.close()
        self.offer = self.unit.offer
        if not self.offer:
            return self.give_up()
        self.commit, self.attempt = self.offer
        self.failures = self.not_before = self.done = self.total = 0
        for commit, attempt in guard.state.get('failed', []):
            if commit == self.commit and self.attempt <= attempt:
                # The instance has lost that it failed.
                self.report('failed', 'this attempt has failed before')
                return self.give_up()
        self.unit.log('pepeunit: update: version', self.commit, 'is offered')
        return self.begin()

    def close(self):
        if self.offer and self.reading:
            self.reading.close()
        self.reading = self.lines = self.line = None

    def give_up(self):
        # Nothing of it stays.
        self.close()
        self.unit._settled = self.unit.offer
        if guard.state.get('step'):
            guard.save(dict(guard.state, step='clean'))
            guard.clean()

    def fail(self, why):
        self.close()
        self.unit.log('pepeunit: update: failed:', why)
        self.unit._settled = self.offer
        guard.state.update({'commit': self.commit, 'attempt': self.attempt})
        after = guard.ended('failed', why)
        self.unit._tell(after['end'])
        try:
            for name in os.listdir(guard.HOME[:-1]):
                if name[:5] == 'part.':
                    os.remove(guard.HOME + name)  # makes room for the state, should there be none
            guard.save(after)
            guard.clean()
        except OSError as e:
            self.unit.log('pepeunit: update: cannot be cleared away:', repr(e))

    def step(self):
        # ms until the next step, or None when the update has ended.
        wait = 0
        try:
            if self.offer != self.unit.offer or not self.offer:
                return self.start()
            wait = self.not_before - self.unit.now()
            return wait if wait > 0 else self.doing()
        except MemoryError:
            gc.collect()
            self.memory += 1
            if self.memory < 5:
                self.close()
                self.offer = None  # goes on from what is on flash
                return 1000
            return self.fail('out of memory')
        except Failed as e:
            return self.fail(str(e))
        except Exception as e:  # a full or broken flash, an answer that is not what it should be
            return self.fail(repr(e))
