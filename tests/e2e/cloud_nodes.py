"""A daemon and the node that it sends pictures to, and what tests of them have in common."""

import hashlib
import json
import re
import threading
import time
from functools import cache

import numpy as np
import pytest

import pictures
from daemon_process import Daemon, free_port, leftovers
from fake_node import FakeNode
from link_proxy import LinkProxy
from namespaces import Cable, NoCable, ThisMachine

MiB = 1 << 20


class NetworkedDaemon(Daemon):
    """A daemon on one of the machines of a cable."""

    def __init__(self, machine, **settings):
        self.machine = machine
        super().__init__(**settings)

    def spawn(self, *arguments, prefix=(), **options):
        return super().spawn(*arguments, prefix=[*self.machine.prefix, *prefix], **options)

    def http(self, path):
        return self.machine.call(super().http, path)


class Pair:
    """`edge` escalates every picture above a twentieth of a megapixel to `cloud`, through `proxy` unless it is told not to.

    What the cloud makes can be told from what the edge makes: the cloud's device is a simulated one, whose results are copies of
    the originals, unless the settings say otherwise. Both are deterministic.
    """

    def __init__(self, make, cable, edge=None, cloud=None, through_proxy=True, work="rate=100"):
        edge, cloud = dict(edge or {}), dict(cloud or {})
        self.port = free_port()
        self.address = f"tcp://{cable.cloud.address}:{self.port}"
        self.cloud = make(cable.cloud, role="cloud", deterministic=True, **{"device": "simulated", "simulation": work} | cloud)
        self.cloud.settings["serve"] = {"listen": self.address, **cloud.get("serve", {})}
        self.cloud.write_config()
        self.server_key = self._keygen(self.cloud, "--node")

        self.proxy = LinkProxy(cable.edge, (cable.cloud.address, self.port)) if through_proxy else None
        self.node = f"tcp://127.0.0.1:{self.proxy.port}" if through_proxy else self.address
        self.edge = make(cable.edge, **edge_settings(self.node, self.server_key, **edge))
        self.edge_key = self._keygen(self.edge)
        self.let_in(self.edge_key)

    @staticmethod
    def _keygen(daemon, *options):
        return json.loads(daemon.retouch("keygen", "--json", *options, check=0).stdout)["public_key"]

    def let_in(self, *keys):
        """Whom the cloud lets in, from its next start or reload on."""
        lines = [f"{key} studio-{number}\n" for number, key in enumerate(keys)]
        (self.cloud.home / "state/serve.clients").write_text("# who may speak\n" + "".join(lines))

    def start(self):
        self.cloud.start()
        self.edge.start()
        return self

    def close(self):
        if self.proxy is not None:
            self.proxy.close()


def edge_settings(node, server_key, cloud=None, **others):
    """Of a daemon that escalates every picture that is large enough, and is quick to notice what happens to the link."""
    return {
        "deterministic": True,
        "preview": {"megapixels": 0.05},
        "cascade": {"policy": "hybrid", "threshold": 1.0},
        "cloud": {"node": node, "server_key": server_key, "timeout": "2m", "silence": "5s", "reopen": "500ms",
                  "escalations_per_hour": "unlimited", "bytes_per_hour": "unlimited", **(cloud or {})},
        **others,
    }


def until(condition, what, timeout=60):
    """Waits until `condition()` is true, for what no event tells of; returns it."""
    end = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() >= end:
            raise TimeoutError(f"{what}: not in {timeout} s")
        threading.Event().wait(0.05)
    return found


def breaker_of(daemon):
    """"closed", "open" or "half_open"."""
    return re.search(r'^retouchd_cloud_breaker\{state="(\w+)"\} 1$', daemon.http("/metrics")[1], re.MULTILINE)[1]


def kinds_of(client, job):
    return [event["kind"] for event in client.events_of(job)]


@cache
def noisy(seed, width=720, height=480):
    return pictures.with_noise(pictures.scene(width, height, seed=seed), 15, seed=seed + 1)


@cache
def png(seed, width=720, height=480):
    return pictures.encoded(noisy(seed, width, height), ".png", compress_level=1)


def submit(daemon, client, name, data, **fields):
    """Writes a file and submits it; the new job's id. The result is <home>/out/<name>."""
    source = daemon.home / "in" / name
    source.parent.mkdir(exist_ok=True)
    source.write_bytes(data)
    return client.submit(source, output=daemon.home / "out" / name, **fields)


def result_of(daemon, name):
    return pictures.decoded(daemon.home / "out" / name)


def assert_settled(daemon, count, ends=("done",)):
    """Every job ended, was ended once, and has the one file that it says; nothing is left of its way."""
    client = daemon.client()
    jobs = client.jobs()
    assert len(jobs) == count and {job["state"] for job in jobs} <= set(ends), [(job["id"], job["state"]) for job in jobs]
    results = {}
    for job in jobs:
        kinds = kinds_of(client, job["id"])
        assert sum(kinds.count(end) for end in ("done", "failed", "cancelled")) == 1, kinds
        if job["state"] == "done":
            results[job["output"]] = job["sha256"]
    there = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in (daemon.home / "out").rglob("*")}
    assert there == results
    until(lambda: not list((daemon.home / "state/escalated").iterdir()), "an empty folder `escalated`", timeout=20)
    assert leftovers(daemon.home / "state") == []


def the_job_of(daemon):
    """The only one there is."""
    jobs = daemon.client().jobs()
    assert len(jobs) == 1, jobs
    return jobs[0]


# --- fixtures: import them where they are used ---


@pytest.fixture(scope="module")
def cable():
    """Two machines where we may make them, else one that is both."""
    try:
        made = Cable()
    except OSError as error:
        print(f"no network namespaces: {error}")
        made = NoCable()
    yield made
    made.remove()


@pytest.fixture
def make(request):
    """make(machine, **settings): a daemon there, not started; gone after the test."""
    daemons = request.node.daemons = []

    def make_one(machine, **settings):
        daemons.append(NetworkedDaemon(machine, **settings))
        return daemons[-1]

    yield make_one
    for daemon in daemons:
        daemon.remove()


@pytest.fixture
def make_pair(make, cable):
    """make_pair(**options): a Pair, not started."""
    pairs = []

    def make_one(**options):
        pairs.append(Pair(make, cable, **options))
        return pairs[-1]

    yield make_one
    for pair in pairs:
        pair.close()


@pytest.fixture
def fake_node():
    node = FakeNode()
    yield node
    node.close()


@pytest.fixture
def pulled_cable(cable):
    """The cable, for a test that pulls it."""
    if isinstance(cable, NoCable):
        pytest.skip("no network namespaces here (root and iproute2 are needed): there is no cable to be pulled")
    yield cable
    cable.plug_in()


@pytest.fixture(scope="module")
def restored_here():
    """restored_here(data, suffix): the pixels that a daemon that escalates nothing makes of the bytes of a file."""
    daemon = NetworkedDaemon(ThisMachine(), deterministic=True, preview={"megapixels": 0.05}).start()
    client, events = daemon.client(), daemon.events()

    @cache
    def restore(data, suffix=".png"):
        source = daemon.home / f"{hashlib.sha256(data).hexdigest()[:12]}{suffix}"
        source.write_bytes(data)
        job = client.submit(source, output=source.with_suffix(".out.png"))
        assert events.wait_for_end(job)["kind"] == "done"
        return pictures.decoded(source.with_suffix(".out.png"))

    yield restore
    daemon.remove()
