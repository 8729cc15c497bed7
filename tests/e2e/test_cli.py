"""`retouch` as people and scripts use it: every subcommand, its JSON, its exit codes."""

import itertools
import json
import signal
import subprocess
import threading

import pytest

import pictures
from daemon_process import RETOUCH, SOURCE


@pytest.fixture
def album(tmp_path):
    """album/{a.png, b.jpg, trip/c.png, notes.txt}"""
    folder = tmp_path / "album"
    (folder / "trip").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b.jpg", "trip/c.png")):
        noisy = pictures.with_noise(pictures.scene(200, 150, seed=index), 25, seed=index)
        (folder / name).write_bytes(pictures.encoded(noisy, "." + name.rpartition(".")[2]))
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.fixture
def large(tmp_path):
    file = tmp_path / "large.jpg"
    noisy = pictures.with_noise(pictures.scene(3000, 2000, seed=1), 25, seed=2)
    file.write_bytes(pictures.encoded(noisy, ".jpg", quality=95))
    return file


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def document(done):
    return json.loads(done.stdout)


def test_submit_files_folders_and_globs(make_daemon, album, tmp_path):
    daemon = make_daemon().start()
    out = tmp_path / "out"
    daemon.retouch("submit", "--wait", album / "a.png", album / "b.jpg", "-o", f"{out}/files/", check=0)
    assert sorted(p.name for p in (out / "files").iterdir()) == ["a.png", "b.jpg"]

    daemon.retouch("submit", "--wait", album, "-o", f"{out}/folder/", check=0)
    assert len([p for p in (out / "folder").rglob("*") if p.is_file()]) == 3, "every picture of the folder, and only pictures"

    daemon.retouch("submit", "--wait", album / "*.png", "-o", f"{out}/glob/", check=0)
    assert [p.name for p in (out / "glob").iterdir()] == ["a.png"]

    # Without -o the result stands beside its source.
    daemon.retouch("submit", "--wait", album / "a.png", check=0)
    assert pictures.decoded(album / "a_restored.png").shape == (150, 200, 3)


def test_submit_tells_jobs_and_progress_as_json(make_daemon, album, tmp_path):
    daemon = make_daemon().start()
    done = daemon.retouch("submit", "--wait", "--json", album / "a.png", album / "trip/c.png", "-o", f"{tmp_path}/out/", check=0)
    assert [job["state"] for job in lines(done) if "state" in job] == ["done", "done"]
    assert "\x1b" not in done.stdout + done.stderr, "no colours where nobody sees them"


def test_failures_have_their_exit_codes(make_daemon, album, tmp_path):
    daemon = make_daemon().start()
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(pictures.PDF)
    empty = tmp_path / "empty.jpg"
    empty.touch()
    for code, word, arguments in [
        (3, "input_missing", ["submit", tmp_path / "nowhere.jpg"]),
        (3, "input_empty", ["submit", empty]),
        (1, "unsupported_format", ["submit", "--wait", broken, "-o", tmp_path / "x.jpg"]),
        (5, "unknown_network", ["submit", album / "a.png", "--network", "student-huge"]),
        (2, "unknown_job", ["status", "4711"]),
        (2, "unknown_job", ["cancel", "4711"]),
        (2, "unknown_job", ["retry", "4711"]),
        (2, "", ["nonsense"]),
        (2, "", ["submit"]),
        (2, "", ["submit", "--nonsense", album / "a.png"]),
    ]:
        done = daemon.retouch(*arguments)
        assert done.returncode == code, (arguments, done)
        assert done.stderr.strip(), arguments
        if word:
            as_json = daemon.retouch(*arguments, "--json")
            assert as_json.returncode == code and word in as_json.stdout + as_json.stderr, (arguments, as_json)
    # One bad picture does not keep the good ones back.
    done = daemon.retouch("submit", "--wait", album / "a.png", broken, album / "b.jpg", "-o", f"{tmp_path}/out/")
    assert done.returncode == 1 and "broken.jpg" in done.stderr + done.stdout
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png", "b.jpg"]


def test_status_list_cancel_and_retry(make_daemon, album, large, tmp_path):
    daemon = make_daemon().start()
    client, events = daemon.client(), daemon.events()
    first = client.submit(large, output=tmp_path / "first.jpg", priority=10)
    waiting = client.submit(large, output=tmp_path / "second.jpg", priority=-10)
    events.wait_for(first, "started")

    assert document(daemon.retouch("status", first, "--json", check=0))["id"] == first
    assert str(first) in daemon.retouch("status", first, check=0).stdout
    assert [job["id"] for job in lines(daemon.retouch("list", "--json", check=0))] == [waiting, first]
    assert "large.jpg" in daemon.retouch("list", check=0).stdout

    daemon.retouch("cancel", waiting, first, check=0)
    assert events.wait_for_end(waiting)["kind"] == "cancelled"
    assert events.wait_for_end(first)["kind"] in ("cancelled", "done")
    assert not (tmp_path / "second.jpg").exists()
    assert client.job(waiting)["state"] == "cancelled"
    assert str(waiting) in daemon.retouch("list", "--state", "cancelled", check=0).stdout

    daemon.retouch("retry", waiting, check=0)
    assert events.wait(lambda e: e["job"] == waiting and e["kind"] == "done")
    assert pictures.decoded(tmp_path / "second.jpg").shape == (2000, 3000, 3)


def test_watch_shows_what_happens(make_daemon, album, tmp_path):
    daemon = make_daemon().start()
    first = daemon.client().submit(album / "a.png", output=tmp_path / "1.png")
    done = daemon.retouch("watch", first, "--json", check=0)
    assert lines(done)[-1]["state"] == "done", done.stdout  # it had ended before
    assert "done" in daemon.retouch("events", first, check=0).stdout
    assert [event["seq"] for event in lines(daemon.retouch("events", first, "--since", 1, "--json", check=0))][0] == 2

    # Without ids it goes on until it is interrupted.
    watch = subprocess.Popen([RETOUCH, "--config", daemon.config_file, "watch", "--json"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    try:
        # Nothing tells when it listens, so pictures are submitted until it has said something.
        heard = threading.Event()
        said = []

        def listen():
            for line in watch.stdout:
                said.append(json.loads(line))
                heard.set()

        listener = threading.Thread(target=listen)
        listener.start()
        for number in itertools.count(2):
            daemon.client().submit(album / "a.png", output=tmp_path / f"{number}.png")
            if heard.wait(1):
                break
            assert number < 60
        watch.send_signal(signal.SIGINT)
        assert watch.wait(30) == 130
        listener.join()
        assert {"job", "kind", "at"} <= set(said[0])
    finally:
        watch.kill()
        watch.wait()


def test_models_ping_and_version(make_daemon):
    daemon = make_daemon().start()
    assert "student-tiny" in daemon.retouch("models", check=0).stdout
    (model,) = [model for model in lines(daemon.retouch("models", "--json", check=0)) if model["name"] == "student-tiny"]
    assert model["default"] is True
    daemon.retouch("ping", check=0)
    assert document(daemon.retouch("ping", "--json", check=0))["draining"] is False
    assert daemon.retouch("--version", check=0).stdout.strip()
    assert "submit" in daemon.retouch("--help", check=0).stdout


def test_run_needs_no_daemon(make_daemon, album, tmp_path):
    daemon = make_daemon()  # only for its folders
    daemon.retouch("run", album / "a.png", "-o", tmp_path / "a.png", check=0)
    assert pictures.decoded(tmp_path / "a.png").shape == (150, 200, 3)
    assert daemon.retouch("run", tmp_path / "nowhere.png", "-o", tmp_path / "b.png").returncode == 3


def test_a_daemon_that_is_away(make_daemon, album):
    daemon = make_daemon()
    for arguments in (["submit", album / "a.png"], ["status", 1], ["list"], ["cancel", 1], ["retry", 1], ["models"], ["ping"]):
        done = daemon.retouch(*arguments)
        assert done.returncode == 4, (arguments, done)
        assert "retouchd" in done.stderr and f"{daemon.home}/run/requests.sock" in done.stderr, (arguments, done)


def test_the_samples_folder_is_found_from_anywhere(make_daemon, tmp_path):
    """Relative paths are the caller's, not the daemon's."""
    daemon = make_daemon().start()
    command = [RETOUCH, "--config", daemon.config_file, "submit", "--wait", "chelsea-sigma15.png", "-o", f"{tmp_path}/"]
    done = subprocess.run(command, cwd=SOURCE / "samples", capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    assert (tmp_path / "chelsea-sigma15.png").exists()
