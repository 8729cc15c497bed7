"""What the documentation shows as Python runs as it stands there."""

import re
import subprocess
import sys

import pytest

import pictures
from daemon_process import SOURCE


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "picture.jpg"
    noisy = pictures.with_noise(pictures.scene(320, 240, seed=1), 25, seed=2)
    file.write_bytes(pictures.encoded(noisy, ".jpg", quality=95))
    return file


def environment(daemon):
    """Where a client finds this daemon by the rules that hold for everybody."""
    return {"HOME": str(daemon.home), "PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(daemon.home / "runtime"),
            "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def daemon(make_daemon):
    daemon = make_daemon()
    daemon.settings["runtime_dir"] = str(daemon.home / "runtime/retouchd")
    daemon.write_config()
    return daemon.start()


def run(arguments, daemon, cwd):
    done = subprocess.run([sys.executable, *map(str, arguments)], env=environment(daemon), cwd=cwd, text=True,
                          capture_output=True, timeout=120)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_ten_line_client_of_the_protocol_page(daemon, picture, tmp_path):
    page = (SOURCE / "docs/protocol.md").read_text()
    programs = [block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "import zmq" in block]
    assert programs, "docs/protocol.md shows no Python client"
    for program in programs:
        for shown in set(re.findall(r"/[\w./-]*\.jpg", program)):
            program = program.replace(shown, str(picture if "restored" not in shown else tmp_path / "restored.jpg"))
        program = re.sub(r"ipc:///[\w./-]*/(requests|events)\.sock", rf"ipc://{daemon.home}/runtime/retouchd/\1.sock", program)
        script = tmp_path / "client.py"
        script.write_text(program)
        print(run([script, picture], daemon, tmp_path))
    jobs = daemon.client().jobs()
    assert jobs and all(job["state"] == "done" for job in jobs), [(job["name"], job["state"]) for job in jobs]


def test_the_example_client(daemon, picture, tmp_path):
    output = run([SOURCE / "examples/python/submit.py", picture], daemon, tmp_path)
    (job,) = daemon.client().jobs()
    assert job["state"] == "done", output
