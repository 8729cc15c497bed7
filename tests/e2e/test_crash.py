"""kill -9 in the middle of a folder of pictures, again and again: as if nothing had happened."""

import hashlib
import random
import sqlite3

import pictures
from daemon_process import leftovers

# A picture that three kills meet is taken for their cause and set aside, so there are more pictures than four kills can meet: about
# sixteen are in flight at once, and those that a kill met come last.
PICTURES = 72
KILLS = 4


def drop(folder, files):
    for name, data in files.items():
        (folder / name).write_bytes(data)


def drawn():
    """Small enough that the rest is quick, large enough that a kill meets them in every stage."""
    files = {}
    for index in range(PICTURES):
        noisy = pictures.with_noise(pictures.scene(280 + 4 * index, 260, seed=index), 25, seed=index + 1)
        suffix = (".jpg", ".png", ".webp")[index % 3]
        files[f"{index:02d}{suffix}"] = pictures.encoded(noisy, suffix)
    return files


def restore_all(daemon, folder, files):
    """The results of an undisturbed run."""
    daemon.start()
    drop(folder, files)
    daemon.events().wait_for_count({"done"}, len(files), timeout=300)
    assert daemon.stop() == 0


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def wait_until_all_ended(client, events, count):
    """Jobs may have ended before anybody listened: look first, then wait for what is missing."""
    ended = {job["id"] for job in client.jobs() if job["state"] in ("done", "failed", "cancelled")}

    def last_one(event):
        if event["kind"] in ("done", "failed", "cancelled"):
            ended.add(event["job"])
        return len(ended) >= count

    if len(ended) < count:
        events.wait(last_one, 300, f"the end of {count} jobs")


def test_kill_9_in_the_middle_of_a_folder(make_daemon):
    files = drawn()
    calm = make_daemon()
    folder, undisturbed = calm.watch()
    restore_all(calm, folder, files)
    assert set(digests(undisturbed)) == set(files)

    seed = random.randrange(1 << 30)
    print(f"\nmoments of the kills by seed {seed}")
    moments = random.Random(seed)
    daemon = make_daemon()
    folder, restored = daemon.watch()
    killed_with = []
    for kill in range(KILLS):
        daemon.start()
        events = daemon.events()
        if kill == 0:
            drop(folder, files)
        # Some events on, whatever they are, and then some milliseconds more, to meet the steps between events too.
        try:
            left = [moments.randint(1, 40)]

            def counted(event):
                left[0] -= 1
                return left[0] <= 0

            events.wait(counted, timeout=20)
            with events.changed:
                events.changed.wait_for(lambda: False, timeout=moments.uniform(0, 0.15))
        except TimeoutError:
            pass  # everything was done already
        killed_with.append(events.summary())
        daemon.kill()
    print(f"events before each kill: {killed_with}")

    daemon.start()
    client, events = daemon.client(), daemon.events()
    wait_until_all_ended(client, events, PICTURES)
    jobs = client.jobs()
    assert sorted(job["name"] for job in jobs) == sorted(files), "every picture is one job"
    assert {job["state"] for job in jobs} == {"done"}, [(job["name"], job["state"], job["error"]) for job in jobs]
    print(f"jobs that a kill met: {sum(job['crashes'] > 0 for job in jobs)}, most often: {max(job['crashes'] for job in jobs)}")

    assert digests(restored) == digests(undisturbed), "not the results of a run without kills"
    for job in jobs:
        log = client.events_of(job["id"])
        assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
        assert [event["kind"] for event in log].count("done") == 1, log
        assert log[-1]["kind"] == "done"
    assert digests(folder) == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert daemon.stop() == 0
    assert not leftovers(restored) and not leftovers(daemon.home / "state")
    store = daemon.home / "state/jobs.sqlite"
    assert sqlite3.connect(f"file:{store}?mode=ro", uri=True).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_accepted_is_durable(make_daemon, tmp_path):
    """What was answered before the kill is done after the restart; a submit sent again with its key stays one job."""
    source = tmp_path / "tiny.png"
    source.write_bytes(pictures.tiny_png())
    daemon = make_daemon().start()
    client = daemon.client()
    sent = {f"key-{n}": tmp_path / "out" / f"{n}.png" for n in range(300)}
    for key, output in sent.items():
        client.send({"v": 1, "id": key, "op": "submit", "path": str(source), "output": str(output), "key": key, "preview": False})
    acknowledged = {}
    while len(acknowledged) < 150:
        reply, _ = client.receive()
        assert reply["ok"], reply
        acknowledged[reply["id"]] = reply["job"]
    daemon.kill()

    daemon.start()
    client, events = daemon.client(), daemon.events()
    again = {key: client.call("submit", path=str(source), output=str(output), key=key, preview=False)
             for key, output in sent.items()}
    for key, job in acknowledged.items():
        assert again[key]["job"] == job and again[key]["duplicate"], key
    wait_until_all_ended(client, events, len(sent))
    jobs = client.jobs()
    assert len(jobs) == len(sent) and {job["state"] for job in jobs} == {"done"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in sent.values())
