"""Pictures are read and written by processes that can do nothing else, and whose end costs nothing."""

import os
import signal
import threading
from pathlib import Path

import pictures


def workers_of(daemon):
    """Process ids of the daemon's retouchd-codec."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue  # ended meanwhile
        name = stat[stat.index("(") + 1:stat.rindex(")")]
        state, parent = stat[stat.rindex(")") + 2:].split()[:2]
        if name == "retouchd-codec" and int(parent) == daemon.process.pid and state != "Z":
            found.append(int(entry.name))
    return found


def status_of(process):
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def drawn(count):
    suffixes = (".jpg", ".png", ".webp", ".tif")
    return {f"{index:02d}{suffixes[index % 4]}": pictures.encoded(pictures.scene(300 + index, 240, seed=index), suffixes[index % 4])
            for index in range(count)}


def drop(folder, files):
    for name, data in files.items():
        (folder / name).write_bytes(data)


def test_workers_are_locked_in(make_daemon):
    daemon = make_daemon()
    folder, _ = daemon.watch()
    daemon.start()
    events = daemon.events()
    drop(folder, drawn(4))
    events.wait_for_count({"done"}, 4, timeout=120)
    workers = workers_of(daemon)
    assert workers
    for worker in workers:
        status = status_of(worker)
        assert status["Seccomp"] == "2"
        assert status["NoNewPrivs"] == "1"
        assert status["Threads"] == "1"
    assert daemon.stop() == 0
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_killed_workers_lose_nothing(make_daemon):
    daemon = make_daemon()
    folder, results = daemon.watch()
    daemon.start()
    events = daemon.events()
    files = drawn(40)
    drop(folder, files)
    ended = threading.Event()
    killed = []

    def kill_some():
        while not ended.wait(0.25):
            for worker in workers_of(daemon)[:1]:
                try:
                    os.kill(worker, signal.SIGKILL)
                    killed.append(worker)
                except ProcessLookupError:
                    pass

    killer = threading.Thread(target=kill_some)
    killer.start()
    try:
        events.wait_for_count({"done"}, len(files), timeout=300)
    finally:
        ended.set()
        killer.join()
    assert killed
    assert len(list(results.iterdir())) == len(files)
    assert daemon.stop() == 0


def test_terminating_a_worker_does_nothing(make_daemon):
    daemon = make_daemon()
    folder, _ = daemon.watch()
    daemon.start()
    before = sorted(workers_of(daemon))
    assert before
    for worker in before:
        os.kill(worker, signal.SIGTERM)
    events = daemon.events()
    drop(folder, drawn(4))
    events.wait_for_count({"done"}, 4, timeout=120)
    assert sorted(workers_of(daemon)) == before
    assert daemon.stop() == 0


def test_without_sandbox(make_daemon):
    daemon = make_daemon(sandbox={"enabled": False})
    folder, results = daemon.watch()
    daemon.start()
    events = daemon.events()
    drop(folder, drawn(4))
    events.wait_for_count({"done"}, 4, timeout=120)
    assert workers_of(daemon) == []
    assert len(list(results.iterdir())) == 4
    assert daemon.stop() == 0
