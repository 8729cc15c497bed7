"""Two machines on one: network namespaces, joined by a cable that can be pulled out."""

import ctypes
import itertools
import os
import subprocess
import threading
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_numbers = itertools.count()


def _ip(*arguments):
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


class Namespace:
    """A network of its own. Its address is that of its end of the cable; its loopback is up."""

    def __init__(self, name, address):
        self.name, self.address = name, address
        self.prefix = ["ip", "netns", "exec", name]
        _ip("netns", "add", name)
        _ip("-n", name, "link", "set", "lo", "up")

    def call(self, function, *arguments):
        """What `function` returns in there. Sockets and threads that it makes stay in there."""
        outcome = []

        def enter():
            try:
                with open(Path("/run/netns") / self.name) as place:
                    if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), _CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {self.name}")
                outcome.append((function(*arguments), None))
            except BaseException as error:
                outcome.append((None, error))

        thread = threading.Thread(target=enter)  # a thread may be elsewhere than its process
        thread.start()
        thread.join()
        result, error = outcome[0]
        if error is not None:
            raise error
        return result

    def remove(self):
        _ip("netns", "del", self.name)


class ThisMachine:
    """Where there may be no namespaces: everybody on the loopback."""

    address, prefix = "127.0.0.1", []

    def call(self, function, *arguments):
        return function(*arguments)

    def remove(self):
        pass


class Cable:
    """Joins the namespaces `edge` and `cloud`. OSError where this process may not make any."""

    def __init__(self):
        mark = f"rt{os.getpid()}-{next(_numbers)}"
        self.edge = Namespace(f"{mark}e", "10.213.7.1")
        self.cloud = None
        try:
            self.cloud = Namespace(f"{mark}c", "10.213.7.2")
            _ip("-n", self.edge.name, "link", "add", "cable", "type", "veth", "peer", "cable", "netns", self.cloud.name)
            for end in (self.edge, self.cloud):
                _ip("-n", end.name, "address", "add", f"{end.address}/24", "dev", "cable")
                _ip("-n", end.name, "link", "set", "cable", "up")
        except BaseException:
            self.remove()
            raise

    def pull(self):
        _ip("-n", self.edge.name, "link", "set", "cable", "down")

    def plug_in(self):
        _ip("-n", self.edge.name, "link", "set", "cable", "up")

    def remove(self):
        for end in (self.edge, self.cloud):
            if end is not None:
                end.remove()


class NoCable:
    """Both ends on this machine."""

    def __init__(self):
        self.edge = self.cloud = ThisMachine()

    def remove(self):
        pass
