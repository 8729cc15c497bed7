"""What the steps of bench/gpu share: how much time is left, the programs, and results that are on disk as soon as they are known."""

import ctypes
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path


class Failed(Exception):
    """A step cannot go on; the text says why."""


class Missing(Failed):
    """... because something is not here that need not be."""


class Results:
    """A JSON file that is whole at any moment."""

    def __init__(self, file, before=None):
        self.file = file
        self.content = before or {"steps": {}, "lines": []}
        self.content.setdefault("machine", {})
        self.content.setdefault("roofs", {})

    def save(self):
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(self.content, indent=1) + "\n")
        fresh.replace(self.file)

    def add(self, step, **fields):
        self.content["lines"].append({"step": step, **fields})
        self.save()

    def set_step(self, name, status, reason="", seconds=0.0):
        self.content["steps"][name] = {"status": status, "reason": reason, "seconds": round(seconds, 1)}
        self.save()

    def is_done(self, name):
        return self.content["steps"].get(name, {}).get("status") == "done"

    def forget(self, step):
        """What an earlier, unfinished try of this step left."""
        self.content["lines"] = [line for line in self.content["lines"] if line["step"] != step]

    def lines(self, step=None, **fields):
        return [line for line in self.content["lines"]
                if (step is None or line["step"] == step) and all(line.get(key) == value for key, value in fields.items())]


class Budget:
    """Wall time of everything, and of the step at hand."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds
        self.step_end = self.end

    def left(self):
        return self.end - time.monotonic()

    def begin(self, seconds):
        self.step_end = min(self.end, time.monotonic() + seconds)

    def left_of_step(self):
        return self.step_end - time.monotonic()


def parsed(line):
    """None: what libraries below say."""
    try:
        return json.loads(line) if line.startswith(("{", "[")) else None
    except ValueError:
        return None


def lines_of(command, budget, environment=None, at_most=float("inf")):
    """Yields the JSON objects and arrays that a program prints, a line each, until it ends. Failed when it ends badly, when the step's time is over, or
    after `at_most` seconds."""
    command = [str(part) for part in command]
    last = time.monotonic() + min(at_most, budget.left_of_step())
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, start_new_session=True)
        read = queue.SimpleQueue()

        def pump():
            for line in child.stdout:
                read.put(line)
            read.put(None)

        reader = threading.Thread(target=pump, daemon=True)
        reader.start()
        try:
            while (line := read.get(timeout=max(0.01, last - time.monotonic()))) is not None:
                if (object_ := parsed(line)) is not None:
                    yield object_
            child.wait(timeout=20)
        except (queue.Empty, subprocess.TimeoutExpired):
            raise Failed("its time was over") from None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)  # with what it started: a group of their own
                child.wait()
            reader.join(timeout=5)
        if child.returncode != 0:
            errors.seek(0)
            said = [line.strip() for line in errors.read().splitlines() if line.strip()]
            raise Failed(f"{Path(command[0]).name} ended with {child.returncode}: " + " / ".join(said[-2:])[-400:])


class Power:
    """Energy that a GPU has used, by NVIDIA's management library. Nothing is ever set."""

    def __init__(self, uuid):
        try:
            self.library = ctypes.CDLL("libnvidia-ml.so.1")
        except OSError as error:
            raise Missing(f"power cannot be read: {error}") from error
        self.device = ctypes.c_void_p()
        self._check(self.library.nvmlInit_v2(), "nvmlInit")
        name = uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"
        self._check(self.library.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(self.device)), f"the device {name}")

    def joules(self):
        """Since the driver was loaded."""
        millijoules = ctypes.c_ulonglong()
        self._check(self.library.nvmlDeviceGetTotalEnergyConsumption(self.device, ctypes.byref(millijoules)), "energy")
        return millijoules.value / 1000

    @staticmethod
    def _check(code, what):
        if code != 0:
            raise Missing(f"power cannot be read: {what} gives NVML error {code}")
