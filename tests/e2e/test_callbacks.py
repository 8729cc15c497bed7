"""Who is told of what happens to jobs: an HTTP receiver, and the user's commands."""

import http.server
import json
import os
import queue
import re
import select
import shlex
import signal
import threading
import time
from pathlib import Path

import pytest

import pictures
from daemon_process import SOURCE, free_port

SECRET = b"not a secret at all, but long enough"


class Receiver:
    """Answers with the next of `answers` (200 after them; None: never) and hands out what came as (headers, body)."""

    def __init__(self, port=0, answers=()):
        self.received = queue.Queue()
        self.answers = list(answers)
        self.closing = threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = receiver.answers.pop(0) if receiver.answers else 200
                receiver.received.put((self.headers, body))
                if answer is None:
                    receiver.closing.wait()
                    self.close_connection = True
                    return
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.send_header("Connection", "close")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def next(self, timeout=60):
        headers, body = self.received.get(timeout=timeout)
        told = json.loads(body)
        assert told["id"] == headers["webhook-id"]
        return told, headers, body

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def make_receiver():
    receivers = []

    def make(*arguments, **options):
        receivers.append(Receiver(*arguments, **options))
        return receivers[-1]

    yield make
    for receiver in receivers:
        if not receiver.closing.is_set():
            receiver.close()


class Told:
    """What commands write into a FIFO."""

    def __init__(self, path):
        os.mkfifo(path)
        self.word = shlex.quote(str(path))
        self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)  # also for writing: never at its end
        self.rest = b""

    def next(self, count, timeout=60):
        """The next texts that end with a NUL."""
        while self.rest.count(b"\0") < count:
            assert select.select([self.fd], [], [], timeout)[0], f"no command wrote; there is {self.rest}"
            self.rest += os.read(self.fd, 65536)
        *texts, self.rest = self.rest.split(b"\0", count)
        return [text.decode() for text in texts]


@pytest.fixture
def told(tmp_path):
    told = Told(tmp_path / "told")
    yield told
    os.close(told.fd)


@pytest.fixture
def secret_file(tmp_path):
    file = tmp_path / "secret"
    file.write_bytes(SECRET + b"\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "good.png"
    file.write_bytes(pictures.encoded(pictures.with_noise(pictures.scene(160, 120, seed=3), 25, seed=4), ".png"))
    return file


@pytest.fixture
def broken(tmp_path):
    file = tmp_path / "broken.png"
    file.write_bytes(pictures.png_header(100, 100) + bytes(100))
    return file


@pytest.fixture
def is_genuine():
    """The check that the protocol page shows."""
    page = (SOURCE / "docs/protocol.md").read_text()
    (program,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "hmac" in block]
    names = {}
    exec(program, names)
    return names["is_genuine"]


def wait_until(condition, timeout=60):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def test_the_end_of_jobs_is_told_and_signed(make_daemon, make_receiver, secret_file, picture, broken, is_genuine):
    receiver = make_receiver()
    daemon = make_daemon(callbacks={"url": f"http://127.0.0.1:{receiver.port}/hook", "secret_file": str(secret_file)}).start()
    client, events = daemon.client(), daemon.events()

    good = client.submit(picture)
    told, headers, body = receiver.next()
    done = events.wait_for(good, "done")
    assert is_genuine(SECRET, headers, body)
    assert not is_genuine(SECRET, headers, body + b" ")
    assert not is_genuine(b"another secret, also long enough", headers, body)
    assert headers["Content-Type"] == "application/json" and headers["User-Agent"].startswith("retouchd/")
    assert {key: told[key] for key in ("job", "kind", "seq", "at", "output", "sha256", "size")} == {
        key: done[key] for key in ("job", "kind", "seq", "at", "output", "sha256", "size")}
    assert told["name"] == "good.png" and told["source"] == str(picture) and told["state"] == "done" and told["v"] == 1
    assert Path(told["output"]).exists()

    bad = client.submit(broken)
    told, headers, body = receiver.next()
    assert is_genuine(SECRET, headers, body)
    assert (told["job"], told["kind"], told["state"]) == (bad, "failed", "failed")
    assert told["code"] and told["message"] and told["remedy"]
    assert daemon.stop() == 0
    assert receiver.received.empty(), "only the ends of jobs are told"


def test_a_notification_outlives_receiver_and_daemon(make_daemon, make_receiver, picture):
    port = free_port()
    daemon = make_daemon(callbacks={"url": f"http://127.0.0.1:{port}/"}).start()
    assert daemon.events().wait_for_end(daemon.client().submit(picture))["kind"] == "done"
    wait_until(lambda: daemon.metric("retouchd_webhook_notifications_total", result="retried") == 1)  # nobody listens

    receiver = make_receiver(port, answers=[503])
    first, headers, _ = receiver.next()
    assert "webhook-signature" not in headers
    receiver.close()
    daemon.kill()

    receiver = make_receiver(port)
    daemon.start()
    again, _, _ = receiver.next()
    assert again == first, "the same notification"
    # Another job's comes as well, and the delivered one does not come again.
    job = daemon.client().submit(picture, output=daemon.home / "second.png")
    assert receiver.next()[0]["job"] == job
    assert daemon.stop() == 0
    assert receiver.received.empty()


def test_a_receiver_that_never_answers_holds_nothing_up(make_daemon, make_receiver, picture):
    receiver = make_receiver(answers=[None] * 100)
    daemon = make_daemon(callbacks={"url": f"http://127.0.0.1:{receiver.port}/"}).start()
    client, events = daemon.client(), daemon.events()
    for number in range(5):
        assert events.wait_for_end(client.submit(picture, output=daemon.home / f"{number}.png"))["kind"] == "done"
    receiver.next()
    assert daemon.stop(timeout=30) == 0


def test_refused_notifications_are_dropped_and_counted(make_daemon, make_receiver, picture):
    receiver = make_receiver(answers=[404])
    daemon = make_daemon(callbacks={"url": f"http://127.0.0.1:{receiver.port}/"}).start()
    events = daemon.events()
    jobs = [daemon.client().submit(picture, output=daemon.home / f"{number}.png") for number in range(2)]
    assert {receiver.next()[0]["job"] for _ in jobs} == set(jobs)
    for job in jobs:
        events.wait_for_end(job)
    assert daemon.metric("retouchd_webhook_notifications_total", result="dropped") == 1
    wait_until(lambda: daemon.metric("retouchd_webhook_notifications_total", result="delivered") == 1)
    assert daemon.stop() == 0
    assert daemon.log().count("with status 404; it is dropped") == 1


def test_a_secret_that_is_none_is_refused_at_the_start(make_daemon, secret_file):
    secret_file.chmod(0o644)
    daemon = make_daemon(callbacks={"url": "http://127.0.0.1:1/", "secret_file": str(secret_file)})
    assert daemon.spawn().wait(60) == 2
    assert "callbacks.secret_file" in daemon.log() and str(secret_file) in daemon.log()


def test_hooks_run_with_what_happened_in_their_environment(make_daemon, told, broken, tmp_path):
    write = (f'printf "%s\\0" "$RETOUCHD_EVENT" "$RETOUCHD_JOB" "$RETOUCHD_NAME" "$RETOUCHD_STATE" "$RETOUCHD_OUTPUT" '
             f'"$RETOUCHD_ERROR_CODE" > {told.word}')
    daemon = make_daemon(hooks={"done": write, "failed": write}).start()
    client = daemon.client()
    evil = tmp_path / "$(touch evil) `touch evil`; touch evil\n' \" .png"
    evil.write_bytes(pictures.encoded(pictures.scene(64, 48, seed=1), ".png"))

    job = client.submit(evil, output=tmp_path / "result.png")
    assert told.next(6) == ["done", str(job), evil.name, "done", str(tmp_path / "result.png"), ""]
    job = client.submit(broken)
    event, number, name, state, _, code = told.next(6)
    assert (event, number, name, state) == ("failed", str(job), "broken.png", "failed")
    assert code == client.job(job)["error"]["code"]
    for folder in ("/", daemon.home, tmp_path):
        assert not (Path(folder) / "evil").exists()


def test_hooks_change_with_a_reload_and_their_failures_are_logged(make_daemon, told, picture):
    daemon = make_daemon().start()
    daemon.settings["hooks"] = {"done": f"echo it is broken >&2; printf 'x\\0' > {told.word}; exit 7"}
    daemon.write_config()
    daemon.process.send_signal(signal.SIGHUP)
    assert daemon.notify.wait_for("READY=1", daemon.process)
    daemon.client().submit(picture)
    assert told.next(1) == ["x"]
    wait_until(lambda: daemon.metric("retouchd_hooks_total", result="failed") == 1)
    assert daemon.stop() == 0
    assert "exit status 7: it is broken" in daemon.log()
