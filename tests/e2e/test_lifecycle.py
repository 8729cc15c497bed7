"""Start, reload, stop: what a service manager and an administrator rely on."""

import json
import os
import signal

import pytest

import pictures
from protocol import Refused


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Takes some seconds: long enough to do something meanwhile."""
    file = tmp_path_factory.mktemp("large") / "large.jpg"
    noisy = pictures.with_noise(pictures.scene(1800, 1200, seed=1), 25, seed=2)
    file.write_bytes(pictures.encoded(noisy, ".jpg", quality=95))
    return file


@pytest.fixture
def small(tmp_path):
    file = tmp_path / "small.png"
    file.write_bytes(pictures.encoded(pictures.with_noise(pictures.scene(160, 120, seed=3), 25, seed=4), ".png"))
    return file


def test_a_stop_finishes_what_runs_and_keeps_what_waits(make_daemon, large, tmp_path):
    daemon = make_daemon(drain_timeout="5m")
    daemon.start()
    client, events = daemon.client(), daemon.events()
    jobs = [client.submit(large, output=tmp_path / f"{n}.jpg") for n in range(30)]  # more than are in flight at once
    events.wait_for(jobs[0], "started")
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.notify.wait_for("STOPPING=1", daemon.process)

    # While it drains it takes nothing new, says so, and still answers.
    assert daemon.http("/readyz")[0] == 503
    assert daemon.http("/healthz")[0] == 200
    with pytest.raises(Refused) as refused:
        client.submit(large, output=tmp_path / "late.jpg")
    assert refused.value.code == "busy" and refused.value.retry_after_ms > 0
    assert daemon.wait(300) == 0
    daemon.disconnect()
    finished = sorted(path.name for path in tmp_path.glob("*.jpg"))
    print(f"\n{len(finished)} jobs finished while stopping, {len(jobs) - len(finished)} kept")
    assert 1 <= len(finished) < len(jobs)

    daemon.start()
    client, events = daemon.client(), daemon.events()
    kept = [job for job in client.jobs() if job["state"] != "done"]
    assert all(job["crashes"] == 0 and job["attempts"] == 0 for job in client.jobs())
    assert len(kept) <= len(jobs) - len(finished)
    for job in kept[1:]:
        client.call("cancel", job=job["id"])
    assert events.wait_for_end(kept[0]["id"], 120)["kind"] == "done"
    assert daemon.stop() == 0


def test_a_short_drain_hands_work_back(make_daemon, large, tmp_path):
    daemon = make_daemon(drain_timeout="0s").start()
    client, events = daemon.client(), daemon.events()
    job = client.submit(large, output=tmp_path / "a.jpg")
    events.wait_for(job, "started")
    assert daemon.stop(60) == 0
    daemon.start()
    status = daemon.client().job(job)
    assert status["crashes"] == 0 and status["attempts"] == 0
    if status["state"] != "done":
        assert daemon.events().wait_for_end(job)["kind"] == "done"
    assert pictures.decoded(tmp_path / "a.jpg").shape == (1200, 1800, 3)


def test_a_second_signal_stops_at_once(make_daemon, large, tmp_path):
    daemon = make_daemon(drain_timeout="10m", workers={"infer": 1}).start()
    client, events = daemon.client(), daemon.events()
    jobs = [client.submit(large, output=tmp_path / f"{n}.jpg") for n in range(8)]
    events.wait_for(jobs[0], "started")
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.notify.wait_for("STOPPING=1", daemon.process)
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.wait(30) is not None
    daemon.disconnect()
    daemon.start()
    assert sum(daemon.client().call("ping")["jobs"].values()) == len(jobs)


def test_reload_adds_a_watch_and_refuses_nonsense(make_daemon, small):
    daemon = make_daemon()
    first, first_out = daemon.watch("first", "first-out")
    daemon.start()
    events = daemon.events()

    def done(output):
        return events.wait(lambda e: e["kind"] == "done" and e["output"] == str(output))

    def reload():
        daemon.process.send_signal(signal.SIGHUP)
        assert daemon.notify.wait_for("RELOADING=1", daemon.process)
        assert daemon.notify.wait_for("READY=1", daemon.process)

    (first / "a.png").write_bytes(small.read_bytes())
    done(first_out / "a.png")

    second, second_out = daemon.watch("second", "second-out")
    reload()
    (second / "b.png").write_bytes(small.read_bytes())
    done(second_out / "b.png")
    assert daemon.metric("retouchd_config_reload_total", result="ok") == 1

    good = daemon.config_file.read_text()
    daemon.config_file.write_text("tile:\n  size: 500\n")
    reload()
    assert f"{daemon.config_file}:2:9" in daemon.log()
    assert daemon.metric("retouchd_config_reload_total", result="failed") == 1
    for folder, out in ((first, first_out), (second, second_out)):
        (folder / "c.png").write_bytes(small.read_bytes())
        done(out / "c.png")

    # A watch that is taken away takes nothing any more; the other one goes on.
    daemon.config_file.write_text(good)
    del daemon.settings["watch"][0]
    daemon.write_config()
    reload()
    (first / "d.png").write_bytes(small.read_bytes())
    (second / "d.png").write_bytes(small.read_bytes())
    done(second_out / "d.png")
    assert not (first_out / "d.png").exists()
    assert daemon.metric("retouchd_watch_up", watch="first") == 0
    assert daemon.stop() == 0


def test_one_daemon_per_state_directory(make_daemon, small, tmp_path):
    daemon = make_daemon().start()
    other = make_daemon(state_dir=str(daemon.home / "state"))
    other.spawn()
    assert other.wait(60) not in (0, None)
    assert str(daemon.process.pid) in other.log() and str(daemon.home / "state") in other.log()
    client, events = daemon.client(), daemon.events()
    assert events.wait_for_end(client.submit(small, output=tmp_path / "a.png"))["kind"] == "done"
    # A kill leaves nothing behind that would keep the next one out.
    daemon.kill()
    other.start()
    assert len(other.client().jobs()) == 1


def test_the_service_manager_is_told(make_daemon, large, tmp_path):
    daemon = make_daemon().start(environment={"WATCHDOG_USEC": "4000000"})
    assert daemon.notify.wait_for("WATCHDOG=1", daemon.process), "idle is fine"
    client, events = daemon.client(), daemon.events()
    jobs = [client.submit(large, output=tmp_path / f"{n}.jpg") for n in range(2)]
    events.wait_for(jobs[0], "started")
    assert daemon.notify.wait_for("WATCHDOG=1", daemon.process), "so is work"
    for job in jobs:
        assert events.wait_for_end(job)["kind"] == "done"
    assert daemon.stop() == 0
    heard = daemon.notify.heard
    assert heard.index("READY=1") < heard.index("STOPPING=1")
    assert any(line.startswith("STATUS=") for line in heard)


def test_the_watchdog_is_not_fed_while_stuck(make_daemon, large, tmp_path):
    """A stopped process says nothing, so the service manager's timer runs out; afterwards it goes on where it was."""
    daemon = make_daemon().start(environment={"WATCHDOG_USEC": "1000000"})
    assert daemon.notify.wait_for("WATCHDOG=1", daemon.process)
    daemon.process.send_signal(signal.SIGSTOP)
    os.waitpid(daemon.process.pid, os.WUNTRACED)
    daemon.notify.forget()
    with pytest.raises(TimeoutError):
        daemon.notify.wait_for("WATCHDOG=1", daemon.process, 2)
    daemon.process.send_signal(signal.SIGCONT)
    assert daemon.notify.wait_for("WATCHDOG=1", daemon.process)


def test_ready_means_ready(make_daemon):
    daemon = make_daemon().start()
    status, text = daemon.http("/readyz")
    assert status == 200 and json.loads(text) == {"status": "ready", "reasons": []}
    assert daemon.http("/healthz")[0] == 200
    assert daemon.client().call("ping")["draining"] is False
    assert (daemon.home / "run/requests.sock").stat().st_mode & 0o777 == 0o660
    assert (daemon.home / "state").stat().st_mode & 0o777 == 0o750, "pictures of others are nobody's business"
    assert daemon.stop() == 0
    assert not list((daemon.home / "run").glob("*.sock")), "sockets are taken away"


def test_a_taken_http_port_is_named(make_daemon):
    daemon = make_daemon().start()
    other = make_daemon(http={"listen": f"127.0.0.1:{daemon.port}"})
    other.spawn()
    assert other.wait(60) == 2
    assert "http.listen" in other.log() and str(daemon.port) in other.log()
