"""A very long queue: accepted quickly, kept on disk, not in memory.

RETOUCHD_BACKLOG_JOBS sets its length.
"""

import os
import time

import pictures

JOBS = int(os.environ.get("RETOUCHD_BACKLOG_JOBS", "100000"))
WINDOW = 256  # requests on their way at once


def submit_many(client, source, output, count, first=0):
    """Submits the same tiny file `count` times; the ids. Outputs that stand already cost no work later."""
    ids, sent = [], 0
    while len(ids) < count:
        while sent < count and sent - len(ids) < WINDOW:
            client.send({"v": 1, "id": str(sent), "op": "submit", "path": str(source), "output": f"{output}/{first + sent}.png",
                         "preview": False, "priority": -10})
            sent += 1
        reply, _ = client.receive()
        assert reply["ok"], reply
        ids.append(reply["job"])
    return ids


def test_a_long_queue_costs_no_memory(make_daemon, tmp_path):
    tiny, large = tmp_path / "tiny.png", tmp_path / "large.png"
    tiny.write_bytes(pictures.tiny_png())
    noisy = pictures.with_noise(pictures.scene(1600, 1200, seed=1), 25, seed=2)
    large.write_bytes(pictures.encoded(noisy, ".png", compress_level=1))

    # Pictures of high priority keep the pipeline busy and its memory full, so that the queue really grows and nothing else does.
    daemon = make_daemon(memory="512MiB", workers={"infer": 1, "decode": 1, "encode": 1}, tile={"size": 256}).start()
    client, events = daemon.client(), daemon.events()
    busy = [client.submit(large, output=tmp_path / f"busy-{n}.png", priority=100, preview=False) for n in range(300)]
    events.wait_for_count({"done"}, 3)
    warm = submit_many(client, tiny, tmp_path / "many", min(JOBS // 10, 2_000))

    before, start = daemon.memory(), time.monotonic()
    ids = submit_many(client, tiny, tmp_path / "many", JOBS, first=len(warm))
    took, growth = time.monotonic() - start, daemon.memory() - before
    queued = client.call("ping")["jobs"]["queued"]
    print(f"\n{JOBS} jobs accepted in {took:.1f} s: {JOBS / took:.0f} a second; memory grew by {growth >> 20} MiB, "
          f"{growth / JOBS:.0f} bytes a job; {queued} queued")
    assert len(set(ids)) == JOBS
    assert queued > JOBS
    assert growth / JOBS < 1024

    # Such a queue hides nobody: an urgent picture is next, and everything is still answered.
    assert client.job(ids[-1])["state"] == "queued"
    assert len(client.call("list", state="queued", limit=1000)["jobs"]) == 1000
    for job in busy:
        client.call("cancel", job=job)
    urgent = client.submit(tiny, output=tmp_path / "urgent.png", priority=1000)
    assert events.wait_for_end(urgent, 120)["kind"] == "done"

    start = time.monotonic()
    assert daemon.stop() == 0
    stopped = time.monotonic() - start
    start = time.monotonic()
    daemon.start()
    print(f"stopped in {stopped:.1f} s, ready again in {time.monotonic() - start:.1f} s")
    counts = daemon.client().call("ping")["jobs"]
    assert sum(counts.values()) == JOBS + len(warm) + len(busy) + 1
