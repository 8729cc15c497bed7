"""Thousands of broken pictures of every format through the daemon: each is reported, none costs more than its own job.

They are made anew each time (tests/malformed/make_corpus). RETOUCHD_MALFORMED sets how many, RETOUCHD_MALFORMED_SEED which.
"""

import collections
import json
import os
import re
import subprocess
import time
from datetime import datetime
from pathlib import Path

import pytest

import pictures
from daemon_process import RETOUCHD, leftovers
from protocol import ENDED

COUNT = int(os.environ.get("RETOUCHD_MALFORMED", "10000"))
SEED = int(os.environ.get("RETOUCHD_MALFORMED_SEED", "1"))
TOOLS = Path(RETOUCHD).parents[1] / "tests/malformed"
WINDOW = 256  # requests on their way at once

ABOUT_THE_PICTURE = {"unsupported_format", "corrupt_picture", "truncated_picture", "picture_too_large", "input_empty",
                     "over_memory_budget", "decoder_crashed", "timeout"}


def make(folder, *arguments):
    subprocess.run([TOOLS / "make_corpus", folder, *map(str, arguments)], check=True, timeout=300)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def submit_all(client, files, output):
    """Submits all; (jobs by id, refusals by file)."""
    jobs, refused, sent, answered = {}, {}, 0, 0
    while answered < len(files):
        while sent < len(files) and sent - answered < WINDOW:
            client.send({"v": 1, "id": str(sent), "op": "submit", "path": str(files[sent]), "output": f"{output}/"})
            sent += 1
        reply, _ = client.receive()
        answered += 1
        file = files[int(reply["id"])]
        if reply["ok"]:
            jobs[reply["job"]] = file
        else:
            refused[file] = reply["error"]
    return jobs, refused


def seconds_of(job):
    if not job["started_at"] or not job["finished_at"]:
        return 0.0
    start, end = (datetime.fromisoformat(job[key].replace("Z", "+00:00")) for key in ("started_at", "finished_at"))
    return (end - start).total_seconds()


def check_errors(ended, refused):
    """Everything that was not restored says why, about which file."""
    for file, error in refused.items():
        assert error["code"] in ABOUT_THE_PICTURE and file.name in error["message"] and error["remedy"], (file.name, error)
    for job in ended:
        if job["state"] == "done":
            continue
        name, error = Path(job["source"]).name, job["error"]
        assert job["state"] == "failed", job
        assert error["code"] in ABOUT_THE_PICTURE, (name, error)
        assert name in error["message"] and error["remedy"].endswith("."), (name, error)
        assert job["crashes"] == 0, (name, "was taken for the reason of a crash of the daemon")


def check_outputs(ended, output):
    """What was restored is there, whole; nothing else is."""
    wanted = sorted(job["output"] for job in ended if job["state"] == "done")
    there = sorted(str(path) for path in output.rglob("*") if path.is_file())
    assert not leftovers(output)
    assert there == wanted
    checked = subprocess.run([TOOLS / "check_pictures", output], capture_output=True, text=True, timeout=300)
    assert checked.returncode == 0, checked.stdout[-3000:]


def good_picture(tmp_path):
    file = tmp_path / "good.png"
    file.write_bytes(pictures.encoded(pictures.with_noise(pictures.scene(640, 480, seed=3), 25, seed=4), ".png"))
    return file


def report(ended, refused, seconds):
    """A table for people: how each format ended."""
    table = collections.defaultdict(collections.Counter)
    for job in ended:
        kind = Path(job["source"]).name.split(".")[1].split("-")[0]
        table[kind][job["error"]["code"] if job["state"] == "failed" else job["state"]] += 1
    for file, error in refused.items():
        table[file.name.split(".")[1].split("-")[0]][error["code"]] += 1
    for kind in sorted(table):
        print(f"  {kind:10s} {sum(table[kind].values()):6d}  {dict(table[kind].most_common())}")
    slowest = sorted(ended, key=seconds_of)[-3:]
    print(f"  {len(ended) + len(refused)} files in {seconds:.0f} s; slowest: "
          + ", ".join(f"{seconds_of(job):.2f} s {Path(job['source']).name}" for job in slowest))


def wait_for_all(events, client, jobs, patience=60):
    """Waits as long as jobs end; a minute without any end is a hang."""
    last, when = -1, time.monotonic()
    while True:
        ended = {event["job"] for event in list(events.seen) if event["kind"] in ENDED}
        left = jobs.keys() - ended
        if not left:
            return
        if len(left) != last:
            last, when = len(left), time.monotonic()
        assert time.monotonic() - when < patience, [client.job(job) for job in sorted(left)[:3]]
        with events.changed:
            events.changed.wait(1)


@pytest.mark.skipif(not (TOOLS / "make_corpus").exists(), reason=f"{TOOLS}/make_corpus is not built")
def test_thousands_of_broken_pictures_cost_only_their_own_jobs(make_daemon, tmp_path):
    files = make(tmp_path / "in", "--count", COUNT, "--seed", SEED)
    assert len(files) == COUNT
    output = tmp_path / "out"
    output.mkdir()
    daemon = make_daemon(network="identity", limits={"megapixels": 20}).start()
    client, events = daemon.client(), daemon.events()
    good = good_picture(tmp_path)
    assert events.wait_for_end(client.submit(good, output=tmp_path / "before.png"))["kind"] == "done"
    process, before = daemon.process.pid, daemon.memory()

    start = time.monotonic()
    jobs, refused = submit_all(client, files, output)
    wait_for_all(events, client, jobs)
    seconds = time.monotonic() - start
    ended = [job for job in client.jobs() if job["id"] in jobs]
    print()
    report(ended, refused, seconds)

    assert daemon.process.poll() is None and daemon.process.pid == process
    assert len(ended) + len(refused) == COUNT
    check_errors(ended, refused)
    check_outputs(ended, output)
    assert max(map(seconds_of, ended)) < 30
    # The file that comes after all that is restored as ever, bit for bit.
    assert events.wait_for_end(client.submit(good, output=tmp_path / "after.png"))["kind"] == "done"
    assert pictures.decoded(tmp_path / "after.png").tobytes() == pictures.decoded(tmp_path / "before.png").tobytes()
    growth = daemon.memory() - before
    print(f"  memory grew by {growth >> 20} MiB, peak {daemon.memory('VmHWM') >> 20} MiB;",
          json.dumps(dict(re.findall(r"^(retouchd_(?:sandbox|codec)\S*) (\S+)$", daemon.http("/metrics")[1], re.M))))
    assert growth < 256 << 20
    assert client.call("stats")["memory"]["reserved"] == 0
    assert daemon.stop() == 0


@pytest.mark.skipif(not (TOOLS / "make_corpus").exists(), reason=f"{TOOLS}/make_corpus is not built")
def test_small_files_that_ask_for_very_much_cost_nothing(make_daemon, tmp_path):
    files = make(tmp_path / "bombs", "--bombs")
    output = tmp_path / "out"
    output.mkdir()
    # Below 100 megapixels a blank page is a picture like any other, and costs what it is worth.
    daemon = make_daemon(network="identity", limits={"megapixels": 100}).start()
    client, events = daemon.client(), daemon.events()
    good = good_picture(tmp_path)
    assert events.wait_for_end(client.submit(good, output=tmp_path / "before.png"))["kind"] == "done"
    before = daemon.memory("VmHWM")
    for file in files:
        job = client.submit(file, output=output / f"{file.stem}.png")
        end = events.wait_for_end(job, 60)
        shown = client.job(job)
        code = shown["error"]["code"] if shown["error"] else ""
        print(f"\n  {file.name:32s} {end['kind']:7s} {code:20s} {seconds_of(shown):6.2f} s", end="")
        assert end["kind"] == "done" or code in ABOUT_THE_PICTURE, shown
        assert seconds_of(shown) < 30, shown
    growth = daemon.memory("VmHWM") - before
    print(f"\n  peak memory rose by {growth >> 20} MiB")
    assert growth < 256 << 20
    assert events.wait_for_end(client.submit(good, output=tmp_path / "after.png"))["kind"] == "done"
    check_outputs([job for job in client.jobs() if job["output"].startswith(f"{output}/")], output)
    assert daemon.stop() == 0
