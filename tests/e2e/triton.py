"""A real NVIDIA Triton on loopback that serves the built-in network as examples/triton says.

    python triton.py 8000      # until it is interrupted, with all cores
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from daemon_process import SOURCE, free_port

FOLDER = Path(sys.prefix).parent / "triton"  # scripts/setup --tests puts it beside this Python's environment
SERVER = FOLDER / "pytriton/tritonserver"
PACKAGES = SERVER / "backends/python"
IS_HERE = (FOLDER / "complete").exists()


def environment():
    libraries = [FOLDER / "nvidia_pytriton.libs", FOLDER / "usr/lib/x86_64-linux-gnu"]
    # One thread: tests compare figures, and the daemon beside it wants the other cores.
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, libraries)), "OMP_NUM_THREADS": "1"}


def export(repository):
    """A model repository with the network as it is shipped."""
    example = SOURCE / "examples/triton"
    shutil.copytree(example / "repository", repository)
    subprocess.run(["/usr/bin/python3", example / "export.py", SOURCE / "models/student-tiny.safetensors",
                    repository / "student-tiny/1/model.onnx"],
                   check=True, env={**os.environ, "PYTHONPATH": str(PACKAGES), "PYTHONDONTWRITEBYTECODE": "1"})


class Triton:
    """One model repository and the servers that are started on it, one after the other, at one address."""

    def __init__(self, folder, port=None, **environment_changes):
        folder.mkdir(parents=True, exist_ok=True)
        self.repository = folder / "repository"
        self.log_file = folder / "triton.log"
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.shared_memory = f"retouchd-{uuid.uuid4().hex}"
        self.environment = {**environment(), **environment_changes}
        self.process = None
        export(self.repository)

    def start(self, timeout=60):
        with self.log_file.open("ab") as log:
            # Dies with us, however we end. A group of its own, with the processes that run the models.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", SERVER / "bin/tritonserver", f"--model-repository={self.repository}", f"--backend-directory={SERVER / 'backends'}",
                 "--http-address=127.0.0.1", f"--http-port={self.port}", "--allow-grpc=false", "--allow-metrics=false",
                 "--disable-auto-complete-config", f"--backend-config=python,shm-region-prefix-name={self.shared_memory}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, start_new_session=True)
        end = time.monotonic() + timeout
        while not self.is_ready():
            assert self.process.poll() is None and time.monotonic() < end, f"Triton did not start:\n{self.log()[-3000:]}"
            time.sleep(0.05)
        return self

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/v2/health/ready", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def kill(self):
        """kill -9, with the processes that run the models."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None
        for left in Path("/dev/shm").glob(f"{self.shared_memory}*"):
            left.unlink()

    def remove(self):
        if self.process is not None:
            self.kill()

    def log(self):
        return self.log_file.read_text(errors="replace")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        server = Triton(Path(folder), int(sys.argv[1]), OMP_NUM_THREADS="0").start()
        print(server.url, flush=True)
        try:
            server.process.wait()
        except KeyboardInterrupt:
            pass
        finally:
            server.remove()
