"""Processes that outlive the tool that started them, known by pid and start time, so that a stale file ends nobody."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time


def start_time(pid):
    """The process's start time in ticks since boot, or None when it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def children(pid):
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as f:
                if int(f.read().rsplit(")", 1)[1].split()[1]) == pid:
                    found.append(int(name))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def pss_bytes(pid):
    """Proportional set size of a process and its children; None when it may not be read."""
    total = 0
    for each in [pid] + children(pid):
        try:
            with open(f"/proc/{each}/smaps_rollup") as f:
                for line in f:
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        except (FileNotFoundError, ProcessLookupError):
            pass
        except PermissionError:
            return None
    return total


def cpu_seconds(pid):
    """CPU time that a process, its children and those that ended before have taken; None when it may not be read."""
    ticks = 0
    for each in [pid] + children(pid):
        try:
            with open(f"/proc/{each}/stat") as f:
                fields = f.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:
            return None
        ticks += sum(int(fields[i]) for i in ((11, 12, 13, 14) if each == pid else (11, 12)))  # utime, stime, and of those that ended
    return ticks / os.sysconf("SC_CLK_TCK")


MOST_LOG = 16 << 20


class Daemon:
    def __init__(self, name, argv, run_dir, log_dir, env=None, cwd=None, where=""):
        self.name, self.argv, self.env, self.cwd, self.where = name, argv, env, cwd, where
        self.pid_file = os.path.join(run_dir, name + ".pid")
        self.log = os.path.join(log_dir, name + ".log")
        self._child = None

    def _known(self):
        if self._child is not None:
            self._child.poll()  # reaps it
        try:
            with open(self.pid_file) as f:
                known = json.load(f)
        except (FileNotFoundError, ValueError):
            return None
        return known if start_time(known["pid"]) == known["start"] else None

    def pid(self):
        """Of the running process, or None."""
        known = self._known()
        return known and known["pid"]

    def _settings(self):
        """What it is started with, as a hash: a change asks for a restart."""
        ours = sorted((k, v) for k, v in (self.env or {}).items() if k.startswith("PEPEUNIT_"))
        return hashlib.sha256(json.dumps([self.argv, ours]).encode()).hexdigest()

    def outdated(self):
        """Why the running process is not what would be started now, or None."""
        known = self._known()
        if known is None:
            return None
        if os.path.isabs(self.argv[0]) and os.path.getmtime(self.argv[0]) > self.started_at():
            return "was rebuilt"
        return None if known.get("settings") == self._settings() else "has other settings now"

    def rotate_log(self):
        """Keeps the log within its bound; the process writes on, since it appends."""
        if os.path.exists(self.log) and os.path.getsize(self.log) > MOST_LOG:
            shutil.copyfile(self.log, self.log + ".1")
            os.truncate(self.log, 0)

    def started_at(self):
        pid = self.pid()
        if pid is None:
            return None
        with open("/proc/uptime") as f:
            uptime = float(f.read().split()[0])
        return time.time() - uptime + start_time(pid) / os.sysconf("SC_CLK_TCK")

    def start(self):
        if self.pid() is not None:
            return False
        self.rotate_log()
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(self.argv, env=self.env, cwd=self.cwd, stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log, start_new_session=True)
        with open(self.pid_file, "w") as f:
            json.dump({"pid": self._child.pid, "start": start_time(self._child.pid), "settings": self._settings()}, f)
        return True

    def signal(self, number):
        pid = self.pid()
        if pid is not None:
            os.kill(pid, number)
        return pid

    def wait_gone(self, timeout):
        end = time.monotonic() + timeout
        while self.pid() is not None:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def stop(self, timeout=20):
        """SIGTERM, and SIGKILL for one that does not go. True when it went by itself; its exit code in `exit_code`."""
        went = True
        if self.signal(signal.SIGTERM) is not None and not self.wait_gone(timeout):
            self.signal(signal.SIGKILL)
            went = self.wait_gone(10) and False
        try:
            os.unlink(self.pid_file)
        except FileNotFoundError:
            pass
        return went

    def kill(self):
        self.signal(signal.SIGKILL)
        self.wait_gone(10)

    @property
    def exit_code(self):
        """Of a process that this tool started and that has ended; None for one that another started."""
        return None if self._child is None else self._child.wait(10)

    def last_lines(self, count=15):
        try:
            with open(self.log, errors="replace") as f:
                return "".join(f.readlines()[-count:])
        except FileNotFoundError:
            return ""
