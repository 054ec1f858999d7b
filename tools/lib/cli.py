"""tools/up, tools/down and tools/status, once the machine has Python and the services are built."""
import argparse
import fcntl
import ipaddress
import os
import sys
import time
import urllib.parse

from pepeunit import demo, repos
from pepeunit.instance import Instance, taken, write_whole
from pepeunit.process import pss_bytes

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(ROOT, "build", "release", "bin")


def say(text):
    print("  " + text, flush=True)


def arguments(command):
    parser = argparse.ArgumentParser(prog="tools/" + command, description={
        "up": "Installs what is missing, builds, and runs an instance of Pepeunit on this machine, with a demo.",
        "down": "Stops the instance and its demo. Its data stays.",
        "status": "Says what runs, where it listens, how much memory it takes and where its logs are."}[command])
    parser.add_argument("--data", metavar="DIR", default=os.path.join(ROOT, "var"), help="where the instance's data lies (default: var/)")
    if command == "up":
        parser.add_argument("--no-demo", action="store_true", help="no demo units")
        parser.add_argument("--port", type=int, default=8080, help="port of the API; devices use the next one (default: 8080)")
        parser.add_argument("--listen", metavar="ADDRESS", default="127.0.0.1",
                            help="IP on which people and devices are answered; 0.0.0.0 for all (default: loopback only)")
        parser.add_argument("--repository", metavar="NAME=URL", action="append", default=[],
                            help="a further standard repository to offer and add; may be repeated")
    return parser.parse_args(sys.argv[2:])


def saved_instance(options):
    """The instance as tools/up left it, or None."""
    path = os.path.join(options.data, "up.txt")
    if not os.path.exists(path):
        return None
    with open(path) as f:
        words = f.read().split()
    if len(words) != 2 or not words[0].isdigit():
        sys.exit(f"{path} is damaged. It holds the port of the API and the address that is listened on, such as `8080 127.0.0.1`.")
    return Instance(options.data, BIN, int(words[0]), words[1])


def git_server(instance):
    return repos.server(os.path.join(instance.data, "git"), instance.ports["git"], instance.run_dir, instance.log_dir)


def publish_standard(instance):
    """The standard repositories of this checkout, served from the machine itself: [{name, url}]."""
    source = os.path.join(ROOT, "deploy", "standard-units")
    standard = []
    for name in sorted(os.listdir(source)):
        folder = os.path.join(source, name)
        if os.path.isdir(folder):
            repos.publish(folder, os.path.join(instance.data, "git", name + ".git"))
            standard.append({"name": name, "url": f"http://127.0.0.1:{instance.ports['git']}/{name}.git"})
    return standard


def up():
    options = arguments("up")
    if not 1 <= options.port <= 65500:
        sys.exit("--port must be from 1 to 65500")
    try:
        ipaddress.ip_address(options.listen)
    except ValueError:
        sys.exit(f"--listen takes an IP address, such as 127.0.0.1 or 0.0.0.0, not {options.listen}")
    os.makedirs(options.data, exist_ok=True)
    alone(options.data)
    before = saved_instance(options)
    if before and (before.ports["gateway"], before.listen) != (options.port, options.listen) and any(d.pid() for d in before.daemons()):
        sys.exit(f"An instance of this data runs on {before.url}: stop it with tools/down first.")
    print("Starting", flush=True)
    instance = Instance(options.data, BIN, options.port, options.listen)
    write_whole(os.path.join(options.data, "up.txt"), f"{options.port} {options.listen}\n")
    busy = instance.taken_ports() + ([] if git_server(instance).pid() or not taken("127.0.0.1", instance.ports["git"]) else [instance.ports["git"]])
    if busy:
        sys.exit(f"Something else listens on port {', '.join(map(str, busy))}: choose another range with --port.")
    os.makedirs(os.path.join(instance.data, "git"), exist_ok=True)
    standard = publish_standard(instance)
    for extra in options.repository:
        name, _, url = extra.partition("=")
        if not url:
            sys.exit("--repository takes NAME=URL")
        standard.append({"name": name, "url": url})
    server = git_server(instance)
    if server.outdated():
        server.stop()
    server.start()
    text = " ".join(f"{entry['name']}={entry['url']}" for entry in standard)
    instance.services["graph-registry"].env["PEPEUNIT_STANDARD_REPOSITORIES"] = text
    # What the operator names may lie in his own network; what users name may not.
    instance.services["repo-sync"].env["PEPEUNIT_PRIVATE_REMOTES"] = " ".join(dict.fromkeys(remote(entry["url"]) for entry in standard))
    restart_changed(instance)
    instance.start(say)
    api = instance.api()
    api.sign_in("admin", instance.secret("admin-password"))
    ready = demo.ensure_standard(api, standard, say)
    shown = None
    if not options.no_demo:
        print("Demo", flush=True)
        shown = demo.run(instance, api, ready, say)
    summary(instance, shown)


def remote(url):
    """host:port of a remote, as repo-sync compares it."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def restart_changed(instance):
    """Stops services whose program was built anew since they started, or that would be started otherwise now."""
    for daemon in instance.services.values():
        why = daemon.outdated()
        if why:
            say(f"{daemon.name} {why}: restarting it")
            daemon.stop()


def alone(data):
    """Waits for another tools/up or tools/down on the same data; held until this process ends."""
    lock = os.open(os.path.join(data, "tools.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another tools/up or tools/down works on this data: waiting for it", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)


def summary(instance, shown):
    print(f"""
Pepeunit runs.
  API and its documentation   {instance.url}/api/docs
  devices                     {instance.device_url}
  sign in as                  admin
  password                    {instance.secret('admin-password')}   (kept in {instance.secret_file('admin-password')})
  data and logs               {instance.data}, {instance.log_dir}""")
    if shown:
        monitor, display, load, value, reading, display_value = shown
        print(f"""
The demo: unit {monitor['name']} sends readings of this machine, and its cpu_load drives the input of {display['name']}.
  cpu_load now                {reading['value']} %      GET {instance.url}/api/v1/variables/{load['id']}/value
  the display shows           {display_value['value']}      GET {instance.url}/api/v1/variables/{value['id']}/value
  its history                 GET {instance.url}/api/v1/variables/{load['id']}/readings""")
    print("\nWhat runs: tools/status    Stop: tools/down    First steps by hand: README.md", flush=True)


def down():
    options = arguments("down")
    instance = saved_instance(options) if os.path.isdir(options.data) else None
    if instance is None:
        print("There is no instance in " + options.data)
        return
    alone(options.data)
    running = [d for d in [*demo.devices(instance), *instance.daemons(), git_server(instance)] if d.pid() is not None]
    if not running:
        print("Nothing runs. The data is in " + instance.data)
        return
    for daemon in demo.devices(instance):
        daemon.stop()
    stuck = instance.stop()
    git_server(instance).stop()
    if stuck:
        sys.exit("These did not stop by themselves and were killed: " + ", ".join(stuck))
    print("Stopped. The data stays in " + instance.data)


def megabytes(count):
    return "?" if count is None else f"{count / 1e6:.1f}"


def since(moment):
    seconds = int(time.time() - moment)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def status():
    options = arguments("status")
    instance = saved_instance(options) if os.path.isdir(options.data) else None
    if instance is None:
        sys.exit("There is no instance in " + options.data + ": tools/up makes one.")
    good = True
    print(f"{'':19}{'pid':>8}  {'up':>9}  {'MB PSS':>7}  {'ready':6} {'listens':44} log")
    groups = [("instance", instance.daemons()), ("beside it", [git_server(instance)] + demo.devices(instance))]
    for title, daemons in groups:
        total = 0
        for daemon in daemons:
            daemon.rotate_log()
            pid = daemon.pid()
            if pid is None:
                good = good and title != "instance"
                print(f"{daemon.name:19}{'-':>8}  {'stopped':>9}  {'':>7}  {'':6} {'':44} {daemon.log}")
                continue
            memory = pss_bytes(pid)
            total += memory or 0
            ready = ""
            if daemon.name in instance.services:
                ok = instance.readiness(daemon.name)[0] == 200
                ready, good = ("yes" if ok else "NO"), good and ok
            print(f"{daemon.name:19}{pid:>8}  {since(daemon.started_at()):>9}  {megabytes(memory):>7}  {ready:6} {daemon.where:44} {daemon.log}")
        print(f"{title + ', in all':19}{'':>8}  {'':>9}  {megabytes(total):>7}\n")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    try:
        {"up": up, "down": down, "status": status}[sys.argv[1]]()
    except (RuntimeError, OSError) as e:
        sys.exit(f"tools/{sys.argv[1]}: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
