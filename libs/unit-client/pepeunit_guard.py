# Runs first at every start (boot.py) and starts main.py. A version that came over the air is put in place here, before
# any of the program runs, and taken back here when it does not hold. Never replaced over the air itself: nothing could
# take a broken guard back. The same for MicroPython and CPython 3.9 and up. Licence: Apache-2.0.
#
# The journal is the folder .pepeunit beside this file:
#   state     JSON: `step` says what is under way, see settle() and pepeunit_update.py; no step, no update
#   plan      what the version changes, one JSON object a line: path, id, and size, sha256, executable; or delete
#   part.<id> the file that is being fetched
#   new.<id>  a file of the new version that is not in its place
#   old.<id>  a file of the old version that was taken from its place
# Every step below can be repeated from its begin after a power cut at any moment. Where something stands is told by the
# names that exist: while new.<id> is there, the new file is not in its place.
import gc
import json
import os
import sys

_at = __file__.replace('\\', '/').rfind('/')
FOLDER = __file__[:_at] if _at > 0 else '' if _at == 0 else '.'
HOME = FOLDER + '/.pepeunit/'
SYNC = hasattr(os, 'fsync') and os.name == 'posix'
STARTS = 3  # so often a new version may start without an exchange
state = {}
_timer = []


class Restart(SystemExit):
    # Raised where the program is to end for a restart; run() restarts.
    pass


# ---- files

def kind(path):
    # 'file', 'folder' or None.
    try:
        return 'folder' if os.stat(path)[0] & 0xf000 == 0x4000 else 'file'
    except OSError:
        return None


def sync(path):
    # A computer keeps written files and renamed names in memory for a while; a board does not once they are closed.
    if SYNC:
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def load():
    # state.new counts when there is no state: a file system whose rename does not replace was cut between the two. It
    # gets its name at once, for save() writes over state.new.
    for name in ('state', 'state.new'):
        try:
            with open(HOME + name) as file:
                found = json.load(file)
            if isinstance(found, dict):
                if name != 'state' and not kind(HOME + 'state'):
                    os.rename(HOME + name, HOME + 'state')
                return found
        except (OSError, ValueError):
            pass
    return {}


def save(new):
    if not kind(HOME[:-1]):
        os.mkdir(HOME[:-1])
    with open(HOME + 'state.new', 'w') as file:
        file.write(json.dumps(new))
    sync(HOME + 'state.new')
    try:
        os.rename(HOME + 'state.new', HOME + 'state')
    except OSError:
        os.remove(HOME + 'state')  # FAT
        os.rename(HOME + 'state.new', HOME + 'state')
    sync(HOME)
    state.clear()
    state.update(new)


def lines():
    with open(HOME + 'plan') as file:
        for line in file:
            yield json.loads(line)


def ended(how, why):
    # The state after the attempt has come to nothing: it is told until the instance has it, and not tried again.
    this = [state['commit'], state['attempt']]
    others = [one for one in state.get('failed', []) if one[0] != this[0]]
    return {'step': 'clean', 'failed': [this] + others[:3],
            'end': {'commit': this[0], 'attempt': this[1], 'state': how, 'reason': why[:120]}}


def clean():
    # Everything but the state goes. The step is `clean` by now, so nothing is put back or in place any more.
    for name in os.listdir(HOME[:-1]):
        if name not in ('state', 'state.new') and kind(HOME + name) == 'file':
            os.remove(HOME + name)
    save({name: state[name] for name in ('failed', 'end') if name in state})


# ---- replacing

def folders(path):
    # Makes the folders that a file needs.
    at = path.find('/', len(FOLDER) + 1)
    while at > 0:
        if not kind(path[:at]):
            os.mkdir(path[:at])
        at = path.find('/', at + 1)


def prune(path):
    # Removes the folders above a file that is gone, as far as they are empty. A cut may have removed the inner ones.
    at = path.rfind('/')
    while at > len(FOLDER):
        try:
            os.rmdir(path[:at])
        except OSError:
            if kind(path[:at]):
                return
        at = path.rfind('/', 0, at)


def move(source, target):
    # CPython takes a compiled file for fresh when size and second of its source are the same.
    for path in (source, target):
        if path.endswith('.py') and hasattr(sys.implementation, 'cache_tag'):
            from importlib.util import cache_from_source
            cached = cache_from_source(path)
            if kind(cached):
                os.remove(cached)
                folder = cached[:cached.rfind('/')]
                if not os.listdir(folder):
                    os.rmdir(folder)
    os.rename(source, target)


def names(line):
    return FOLDER + '/' + line['path'], HOME + 'new.' + line['id'], HOME + 'old.' + line['id']


def keep(path, old):
    if kind(path) == 'file' and not kind(old):
        move(path, old)


def settled_on_disk():
    if SYNC:
        for line in lines():
            above = names(line)[0]
            while len(above) > len(FOLDER):
                above = above[:above.rfind('/')]
                if kind(above) == 'folder':
                    sync(above or '/')
        sync(HOME)


def swap():
    # Deletions first: a new file may have the name of a folder that is to go, or the other way round.
    for line in lines():
        path, new, old = names(line)
        if line.get('delete'):
            keep(path, old)
            prune(path)
    for line in lines():
        path, new, old = names(line)
        if not line.get('delete') and kind(new):
            keep(path, old)
            folders(path)
            move(new, path)
    settled_on_disk()


def undo():
    for line in lines():
        path, new, old = names(line)
        if not line.get('delete'):
            if not kind(new) and kind(path) == 'file':
                move(path, new)
            if not kind(path):
                prune(path)
    for line in lines():
        path, new, old = names(line)
        if kind(old):
            if kind(path) == 'folder':
                os.rename(path, path + '.kept')  # the new version had a folder here and wrote into it
            folders(path)
            move(old, path)
    settled_on_disk()


def settle():
    # Completes or undoes what was under way. Steps: plan, fetch (pepeunit_update.py is at it, the old version runs),
    # swap, trial (the new version runs on trial), undo, clean.
    if state.get('step') == 'swap':
        print('pepeunit: putting version', state['commit'], 'in place')
        try:
            swap()
            save(dict(state, step='trial', starts=0))
        except OSError as e:
            save(dict(state, step='undo', how='failed', why='cannot be put in place: ' + repr(e)))
    if state.get('step') == 'trial':
        if state['starts'] < STARTS:
            save(dict(state, starts=state['starts'] + 1))
        else:
            save(dict(state, step='undo', how='rolled_back', why='no exchange was accepted in %d starts' % STARTS))
    if state.get('step') == 'undo':
        print('pepeunit: going back from version', state['commit'], 'because:', state['why'])
        undo()
        save(ended(state['how'], state['why']))
    if state.get('step') == 'clean':
        clean()


# ---- running

def restart():
    try:
        import machine
    except ImportError:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, FOLDER + '/boot.py'] + sys.argv[1:])
    machine.reset()


def _late(*_):
    # The new version has had its time. A start without exchange is counted by settle().
    print('pepeunit: no exchange was accepted in time: restarting')
    restart()


def start_timer(seconds):
    try:
        from machine import Timer
    except ImportError:
        import threading
        timer = threading.Timer(seconds, _late)
        timer.daemon = True
        timer.start()
        _timer.append(timer.cancel)
        return
    for number in (-1, 3, 1, 0):  # -1 is a timer in software; ports without have few and differ in how many
        try:
            timer = Timer(number)
            timer.init(mode=Timer.ONE_SHOT, period=seconds * 1000, callback=_late)
            _timer.append(timer.deinit)
            return
        except ValueError:
            pass


def accepted(report):
    # The client calls this after each accepted exchange, with the report about an update that was in it, or None.
    try:
        if state.get('step') == 'trial':
            while _timer:
                _timer.pop()()
            print('pepeunit: version', state['commit'], 'holds')
            save(dict(state, step='clean'))
            clean()
        elif report and report == state.get('end'):
            save({name: state[name] for name in state if name != 'end'})
    except OSError as e:
        print('pepeunit: the state of the update cannot be written:', repr(e))


def run(trial_s=300):
    # Starts main.py: imports it, and calls its main() if it has one.
    state.update(load())
    settle()
    if state.get('step') == 'trial':
        start_timer(trial_s)
    for name in ('settle', 'swap', 'undo', 'settled_on_disk', 'keep', 'names', 'move', 'prune', 'folders', 'load'):
        globals().pop(name, None)  # the program shall have their heap
    gc.collect()
    try:
        program = __import__('main')
        if hasattr(program, 'main'):
            program.main()
    except Restart:
        pass
    except Exception as e:
        if state.get('step') != 'trial':
            raise
        if hasattr(sys, 'print_exception'):
            sys.print_exception(e)
        else:
            import traceback
            traceback.print_exc()
        save(dict(state, step='undo', how='rolled_back', why='%s: %s' % (type(e).__name__, e)))
    if state.get('step') in ('swap', 'undo'):
        restart()
    try:
        import machine
    except ImportError:
        return
    raise KeyboardInterrupt  # else the board would run main.py once more now, without the guard
