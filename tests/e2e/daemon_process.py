"""The real daemon in a folder of its own: configured, started, awaited, stopped."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from protocol import Client, Events

SOURCE = Path(__file__).resolve().parents[2]
RETOUCHD = os.environ.get("RETOUCHD", str(SOURCE / "build/release/daemon/retouchd"))
RETOUCH = os.environ.get("RETOUCH", str(SOURCE / "build/release/cli/retouch"))

IS_ROOT = os.geteuid() == 0

# Without these, root is held to a file's permissions as everybody else is.
WITHOUT_PRIVILEGES = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner,-chown",
                      "--inh-caps=-dac_override,-dac_read_search,-fowner,-chown"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class NotifySocket:
    """Stands in for systemd: hears what the daemon says with sd_notify, which blocks as long as nobody listens."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.heard = []
        self.looked_at = 0
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self):
        while message := self.socket.recv(65536):
            with self.changed:
                self.heard += message.decode().splitlines()
                self.changed.notify_all()

    def wait_for(self, line, process, timeout=60):
        """Waits for `line` after all that was waited for before. False when the process ended without it."""
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                ended = process.poll() is not None
                if line in self.heard[self.looked_at:]:
                    self.looked_at += self.heard[self.looked_at:].index(line) + 1
                    return True
                if ended:
                    return False
                if time.monotonic() >= end:
                    raise TimeoutError(f"retouchd did not say {line} in {timeout} s; heard {self.heard}")
                self.changed.wait(0.1)  # the end of a process notifies nobody

    def forget(self):
        """What was heard up to now is not waited for any more."""
        with self.changed:
            self.looked_at = len(self.heard)

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.path))
        self.thread.join()
        self.socket.close()


class Daemon:
    """One state directory and the daemons that are started on it, one after the other."""

    def __init__(self, **settings):
        # Short: a Unix socket's path may have 107 bytes.
        self.home = Path(tempfile.mkdtemp(prefix="rt-", dir="/tmp"))
        self.port = free_port()
        self.log_file = self.home / "log"
        self.config_file = self.home / "config.yaml"
        self.settings = {
            "state_dir": str(self.home / "state"),
            "runtime_dir": str(self.home / "run"),
            "device": "cpu",
            "memory": "2GiB",
            "http": {"listen": f"127.0.0.1:{self.port}"},
            **settings,
        }
        self.process = None
        self.clients, self.listeners = [], []
        self.notify = NotifySocket(self.home / "notify")
        self.write_config()

    # --- configuration ---

    def watch(self, name="in", output="out", **options):
        """Adds a watched folder below home; returns (folder, output folder)."""
        folder, result = self.home / name, self.home / output
        folder.mkdir(exist_ok=True)
        self.settings.setdefault("watch", []).append(
            {"path": str(folder), "output": str(result), "settle": "100ms", "settle_unseen": "300ms", **options})
        self.write_config()
        return folder, result

    def write_config(self):
        self.config_file.write_text(json.dumps(self.settings, indent=1))  # JSON is YAML

    # --- life ---

    def spawn(self, *arguments, prefix=(), environment=None):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "RETOUCHD_", "STATE_", "RUNTIME_", "WATCHDOG_"))}
        env |= {"HOME": str(self.home), "NOTIFY_SOCKET": str(self.notify.path), **(environment or {})}
        with self.log_file.open("ab") as log:
            # Dies with us, however we end.
            self.process = subprocess.Popen(
                [*prefix, "setpriv", "--pdeathsig", "KILL", RETOUCHD, "--config", str(self.config_file), *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd="/")
        return self.process

    def start(self, timeout=120, **options):
        assert self.process is None or self.process.poll() is not None, "already running"
        self.spawn(**options)
        if not self.notify.wait_for("READY=1", self.process, timeout):
            raise AssertionError(f"retouchd ended with {self.process.wait()} instead of getting ready:\n{self.log()[-3000:]}")
        return self

    def wait(self, timeout=120):
        return self.process.wait(timeout)

    def stop(self, timeout=120):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout)
        self.disconnect()
        return status

    def reload(self):
        """SIGHUP, until the daemon has looked at its files anew, whether it liked them or not."""
        self.notify.forget()
        self.process.send_signal(signal.SIGHUP)
        for line in ("RELOADING=1", "READY=1"):
            assert self.notify.wait_for(line, self.process), self.log()[-3000:]

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self.disconnect()

    def disconnect(self):
        for one in self.clients + self.listeners:
            one.close()
        self.clients, self.listeners = [], []

    def remove(self):
        try:
            self.disconnect()
        finally:
            if self.process is not None and self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.notify.close()
        shutil.rmtree(self.home, ignore_errors=True)

    # --- looking at it ---

    @property
    def requests_endpoint(self):
        return f"ipc://{self.settings['runtime_dir']}/requests.sock"

    @property
    def events_endpoint(self):
        return f"ipc://{self.settings['runtime_dir']}/events.sock"

    def client(self):
        self.clients.append(Client(self.requests_endpoint))
        return self.clients[-1]

    def events(self, prefix="job."):
        self.listeners.append(Events(self.events_endpoint, prefix))
        return self.listeners[-1]

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def http(self, path):
        """(status, text)"""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name, **labels):
        """The sum of a metric's series that have these labels; 0 when there are none."""
        total = 0.0
        for line in self.http("/metrics")[1].splitlines():
            found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if not found or found[1] != name:
                continue
            have = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or ""))
            if all(have.get(key) == value for key, value in labels.items()):
                total += float(found[3])
        return total

    def memory(self, field="VmRSS"):
        """Bytes; VmHWM is the peak."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {field} of retouchd; it is gone")

    def retouch(self, *arguments, check=None, timeout=300, environment=None):
        """Runs `retouch` against this daemon; asserts the exit code when `check` names one."""
        env = {**os.environ, "HOME": str(self.home), **(environment or {})}
        done = subprocess.run([RETOUCH, "--config", str(self.config_file), *map(str, arguments)], env=env, cwd=self.home,
                              text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
        assert check is None or done.returncode == check, (
            f"retouch {' '.join(map(str, arguments))} ended with {done.returncode}, not {check}\n{done.stdout}\n{done.stderr}")
        return done


def leftovers(folder):
    """Temporary files that a crash left behind."""
    return [path for path in Path(folder).rglob("*") if ".retouchd-" in str(path.relative_to(folder))]
