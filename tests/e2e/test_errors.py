"""What a user can get wrong: an exact code, a message that names what it is about, a remedy; and a good job beside it is done."""

import os
import socket
import subprocess

import pytest

import pictures
from daemon_process import IS_ROOT, RETOUCHD, WITHOUT_PRIVILEGES, leftovers
from protocol import Refused


@pytest.fixture
def good(tmp_path):
    file = tmp_path / "good.png"
    file.write_bytes(pictures.encoded(pictures.with_noise(pictures.scene(160, 120, seed=3), 25, seed=4), ".png"))
    return file


def refusal(client, op, **fields):
    with pytest.raises(Refused) as refused:
        client.call(op, **fields)
    assert refused.value.message and refused.value.remedy.endswith(".")
    return refused.value


def failure(client, events, job):
    """The error of a job that must fail, complete and the same in the event and in its status."""
    event = events.wait_for_end(job)
    error = client.job(job)["error"]
    assert event["kind"] == "failed", event
    assert error["message"] and error["remedy"].endswith("."), error
    return error


def check_good_one(client, events, good, output):
    assert events.wait_for_end(client.submit(good, output=output, overwrite=True))["kind"] == "done"
    assert pictures.decoded(output).shape == (120, 160, 3)


def test_requests_that_are_refused_at_once(make_daemon, good, tmp_path):
    daemon = make_daemon(limits={"file_size": "1MiB"}).start()
    client, events = daemon.client(), daemon.events()
    empty, huge = tmp_path / "empty.jpg", tmp_path / "huge.jpg"
    empty.touch()
    huge.write_bytes(bytes((1 << 20) + 1))
    for code, named, op, fields in [
        ("input_missing", "nowhere.jpg", "submit", {"path": str(tmp_path / "nowhere.jpg")}),
        ("input_unreadable", tmp_path.name, "submit", {"path": str(tmp_path)}),
        ("input_empty", "empty.jpg", "submit", {"path": str(empty)}),
        ("picture_too_large", "huge.jpg", "submit", {"path": str(huge)}),
        ("invalid_request", "good.png", "submit", {"path": "good.png"}),
        ("invalid_request", "output", "submit", {"path": str(good), "output": "result.png"}),
        ("invalid_request", "good.png", "submit", {"path": str(good), "output": str(good)}),
        ("unknown_network", "student-huge", "submit", {"path": str(good), "network": "student-huge"}),
        ("unknown_job", "4711", "status", {"job": 4711}),
        ("unknown_job", "4711", "cancel", {"job": 4711}),
        ("unknown_job", "4711", "retry", {"job": 4711}),
        ("unknown_job", "4711", "events", {"job": 4711}),
        ("unknown_job", "4711", "fetch", {"job": 4711}),
    ]:
        error = refusal(client, op, **fields)
        assert error.code == code, (op, fields, str(error))
        assert named in error.message, (op, fields, str(error))
    first = client.call("submit", path=str(good), output=str(tmp_path / "a.png"), key="k")
    assert not first["duplicate"]
    again = client.call("submit", path=str(good), output=str(tmp_path / "a.png"), key="k")
    assert again["duplicate"] and again["job"] == first["job"]
    assert refusal(client, "submit", path=str(good), output=str(tmp_path / "b.png"), key="k").code == "conflict"
    check_good_one(client, events, good, tmp_path / "beside.png")
    assert len(client.jobs()) == 2, "refused requests leave no jobs"


def test_pictures_that_fail(make_daemon, good, tmp_path):
    whole = pictures.encoded(pictures.with_noise(pictures.scene(320, 240, seed=5), 25, seed=6), ".png")
    middle = len(whole) // 2
    files = {
        "bomb.png": (pictures.png_header(60_000, 60_000), "picture_too_large", "60000"),
        "invoice.jpg": (pictures.PDF, "unsupported_format", "PDF"),
        "letter.jpg": (b"Dear all,\nthis is no picture.\n" * 20, "unsupported_format", "letter.jpg"),
        "cut off.png": (whole[:middle], "truncated_picture", "cut off.png"),
        "scratched.png": (whole[:middle] + bytes(64) + whole[middle + 64:], "corrupt_picture", "scratched.png"),
    }
    daemon = make_daemon().start()
    client, events = daemon.client(), daemon.events()
    before = daemon.memory("VmHWM")
    for name, (data, code, named) in files.items():
        (tmp_path / name).write_bytes(data)
        job = client.submit(tmp_path / name, output=tmp_path / "out" / name)
        beside = client.submit(good, output=tmp_path / "out" / f"beside {name}.png")
        error = failure(client, events, job)
        assert error["code"] == code, (name, error)
        assert named in error["message"], (name, error)
        assert events.wait_for_end(beside)["kind"] == "done"
        assert client.job(job)["attempts"] <= 1, "what cannot pass is not tried again"
        assert (tmp_path / name).read_bytes() == data
        assert refusal(client, "fetch", job=job).code == "invalid_request"
    print(f"\npeak memory rose by {(daemon.memory('VmHWM') - before) >> 20} MiB")
    assert daemon.stop() == 0
    assert not leftovers(tmp_path)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(f"beside {name}.png" for name in files)


def test_outputs_that_stand_in_the_way(make_daemon, good, tmp_path):
    daemon = make_daemon().start()
    client, events = daemon.client(), daemon.events()
    taken = tmp_path / "taken.png"
    taken.write_bytes(b"mine")
    error = failure(client, events, client.submit(good, output=taken))
    assert error["code"] == "output_exists" and "taken.png" in error["message"]
    assert taken.read_bytes() == b"mine"

    blocked = tmp_path / "file"
    blocked.write_bytes(b"not a folder")
    error = failure(client, events, client.submit(good, output=blocked / "a.png"))
    assert error["code"] == "output_denied", error

    job = client.submit(good, output=taken, overwrite=True)
    assert events.wait_for_end(job)["kind"] == "done"
    assert pictures.decoded(taken).shape == (120, 160, 3)
    # What retouchd itself wrote may be replaced by the next run.
    assert events.wait_for_end(client.submit(good, output=taken))["kind"] == "done"
    assert daemon.stop() == 0
    assert not leftovers(tmp_path)


def test_folders_without_permission(make_daemon, good, tmp_path):
    """Root is not held to permissions, so the daemon runs without that privilege."""
    closed, read_only = tmp_path / "closed", tmp_path / "read-only"
    closed.mkdir()
    (closed / "a.png").write_bytes(good.read_bytes())
    closed.chmod(0)
    read_only.mkdir(mode=0o555)
    secret = tmp_path / "secret.png"
    secret.write_bytes(good.read_bytes())
    secret.chmod(0)
    daemon = make_daemon()
    folder, _ = daemon.watch("shared", "restored")
    daemon.start(prefix=WITHOUT_PRIVILEGES if IS_ROOT else ())
    client, events = daemon.client(), daemon.events()
    try:
        for path in (closed / "a.png", secret):
            fields = {"path": str(path), "output": str(tmp_path / "x.png")}
            try:
                error = failure(client, events, client.submit(**fields))
                assert error["code"] == "input_unreadable" and str(path) in error["message"], error
            except Refused as refused:
                assert refused.code == "input_unreadable" and str(path) in refused.message
        error = failure(client, events, client.submit(good, output=read_only / "a.png"))
        assert error["code"] == "output_denied" and str(read_only) in error["message"], error
        # In a watched folder too, an unreadable file is one failed job with its report.
        (folder / "locked.png").touch(mode=0)
        with open(os.open(folder / "locked2.png", os.O_CREAT | os.O_WRONLY, 0), "wb") as file:
            file.write(good.read_bytes())
        (folder / "open.png").write_bytes(good.read_bytes())
        done = events.wait(lambda e: e["kind"] == "done" and e["output"].endswith("open.png"))
        assert pictures.decoded(daemon.home / "restored/open.png").shape == (120, 160, 3), done
        check_good_one(client, events, good, tmp_path / "beside.png")
    finally:
        for path in (closed, read_only):
            path.chmod(0o755)


def test_a_full_output_disk_waits(make_daemon, good, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.strip()}")
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(124 << 10))
        daemon = make_daemon().start()
        client, events = daemon.client(), daemon.events()
        job = client.submit(good, output=disk / "a.png")
        waiting = events.wait_for(job, "waiting")
        assert waiting["code" if "code" in waiting else "error"] in ("disk_full", waiting.get("error")), waiting
        status = client.job(job)
        assert status["state"] == "queued" and status["attempts"] == 0
        assert status["error"]["code"] == "disk_full" and str(disk) in status["error"]["message"]
        assert daemon.metric("retouchd_jobs_waiting", code="disk_full") == 1
        check_good_one(client, events, good, tmp_path / "beside.png")
        assert [path.name for path in disk.iterdir()] == ["ballast"]
        ballast.unlink()
        assert events.wait_for_end(job, 180)["kind"] == "done"
        assert pictures.decoded(disk / "a.png").shape == (120, 160, 3)
    finally:
        daemon.process.kill()
        daemon.process.wait()
        subprocess.run(["umount", disk], check=True)


CONFIGURATIONS = {
    "unknown key": ("watch:\n  - path: /srv/a\n    output: /srv/b\n    setle: 1s\n", "4:5", "did you mean `watch.settle`"),
    "wrong value": ("tile:\n  size: 500\n", "2:9", "multiple of 8"),
    "not YAML": ("tile: [1\n", "2:1", "not valid YAML"),
    "open to the network": ("http:\n  listen: 0.0.0.0:9464\n", "2:11", "0.0.0.0"),
    "watches its output": ("watch:\n  - path: /srv/a\n    output: /srv/a/out\n", "3:13", "restored again"),
}


@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_a_bad_configuration_is_refused_with_its_place(case, make_daemon):
    text, place, reason = CONFIGURATIONS[case]
    daemon = make_daemon()
    daemon.config_file.write_text(text)
    daemon.spawn()
    assert daemon.wait(60) == 2
    assert f"{daemon.config_file}:{place}" in daemon.log() and reason in daemon.log()
    checked = subprocess.run([RETOUCHD, "--config", daemon.config_file, "--check-config"], capture_output=True, text=True)
    assert checked.returncode == 2
    assert f"{daemon.config_file}:{place}" in checked.stderr and reason in checked.stderr
    assert not (daemon.home / "state").exists()


def test_a_missing_configuration_is_named(make_daemon):
    daemon = make_daemon()
    daemon.config_file.unlink()
    daemon.spawn()
    assert daemon.wait(60) == 2
    assert str(daemon.config_file) in daemon.log()


MESSAGES = {
    "not JSON": b"hello",
    "empty": b"",
    "not UTF-8": b'{"v": 1, "op": "ping", "id": "\xff"}',
    "not an object": b"[1, 2]",
    "too deep": b"[" * 60_000,
    "too long": b'{"v": 1, "op": "ping", "id": "' + b"x" * 70_000 + b'"}',
    "no version": b'{"op": "ping"}',
    "another version": b'{"v": 2, "op": "ping"}',
    "no operation": b'{"v": 1}',
    "unknown operation": b'{"v": 1, "op": "sumbit", "path": "/a"}',
    "unknown field": b'{"v": 1, "op": "status", "jb": 1}',
    "missing field": b'{"v": 1, "op": "status"}',
    "wrong type": b'{"v": 1, "op": "status", "job": "1"}',
    "out of range": b'{"v": 1, "op": "list", "limit": 1000000}',
    "no path": b'{"v": 1, "op": "submit"}',
    "huge number": b'{"v": 1, "op": "status", "job": 99999999999999999999999}',
}


def test_wrong_messages_are_answered_and_harm_nobody(make_daemon, good, tmp_path):
    daemon = make_daemon().start()
    client, events = daemon.client(), daemon.events()
    for case, message in MESSAGES.items():
        client.send(message)
        reply, _ = client.receive()
        assert reply["ok"] is False and reply["error"]["code"] == "invalid_request", (case, reply)
        assert reply["error"]["remedy"], case
    with_name = b'{"v": 1, "op": "submit", "id": "mine", "pth": "/a"}'
    client.send(with_name)
    reply, _ = client.receive()
    assert reply["id"] == "mine" and '"path"' in reply["error"]["message"]

    # Binary frames where none belong, and more frames than the protocol knows.
    client.send(b'{"v": 1, "op": "ping"}', b"content")
    assert client.receive()[0]["error"]["code"] == "invalid_request"
    client.socket.send_multipart([b'{"v": 1, "op": "submit", "name": "a.png"}', b"one", b"two"])
    assert client.receive()[0]["error"]["code"] == "invalid_request"

    # Not ZeroMQ at all.
    for junk in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"\xff" + bytes(8) + b"\x7f" + bytes(1000)):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(f"{daemon.home}/run/requests.sock")
            try:
                raw.sendall(junk)
            except BrokenPipeError:
                pass
    check_good_one(client, events, good, tmp_path / "beside.png")
    assert daemon.metric("retouchd_requests_total", result="invalid_request") >= len(MESSAGES)


def test_wrong_http_requests_harm_nobody(make_daemon, good, tmp_path):
    daemon = make_daemon().start()
    client, events = daemon.client(), daemon.events()

    def answer(request):
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=30) as raw:
            raw.sendall(request)
            return raw.recv(65536).partition(b"\r\n")[0].decode()

    host = f"Host: 127.0.0.1:{daemon.port}\r\n".encode()
    assert " 200 " in answer(b"GET /healthz HTTP/1.1\r\n" + host + b"\r\n")
    assert " 404 " in answer(b"GET /nowhere HTTP/1.1\r\n" + host + b"\r\n")
    assert " 405 " in answer(b"DELETE /metrics HTTP/1.1\r\n" + host + b"\r\n")
    assert " 403 " in answer(b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert " 403 " in answer(b"GET /metrics HTTP/1.1\r\n" + host + b"Origin: https://evil.example\r\n\r\n")
    assert " 4" in answer(b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n" + host + b"\r\n")
    assert " 400 " in answer(b"\x00\x01\x02 nonsense\r\n\r\n")
    check_good_one(client, events, good, tmp_path / "beside.png")
