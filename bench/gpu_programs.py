"""The programs that bench/gpu runs: from the build folder, or from a pack that takes them to a machine that cannot build them.

A pack holds our programs, the modules they open and every shared library they need, except the C and C++ libraries and what
comes with LibTorch: those are the target's. LibTorch is that of its Python's PyTorch, which must have the same version.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from gpu_run import Failed, Missing

SOURCE = Path(__file__).resolve().parent.parent
LARGEST_PACK = 64 << 20

# Where each lies in a build folder. Those that are optional come with parts of the build that need CUDA.
PROGRAMS = {name: f"bench/{name}" for name in ("network_forward", "saturation", "preview_latency")}
PROGRAMS |= {"retouchd": "daemon/retouchd", "retouch": "cli/retouch", "retouchd-codec": "sandbox/retouchd-codec"}
OPTIONAL = {"kernel_times": "bench/kernel_times"}

# Of glibc and g++: older ones than the target's would not load what the target has; its own are as new or newer.
OF_THE_SYSTEM = ("ld-linux", "libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "libutil.so", "libresolv.so",
                 "libanl.so", "libnss_", "libstdc++.so", "libgcc_s.so", "linux-vdso", "libcuda.so", "libnvidia-")

ASK_TORCH = """
import json, pathlib, torch
folder = pathlib.Path(torch.__file__).parent
print(json.dumps({"version": torch.__version__, "library": str(folder / "lib"), "packages": str(folder.parent),
                  "cxx11": torch.compiled_with_cxx11_abi()}))
"""


def torch_of(python):
    """What PyTorch that Python has; Failed when none."""
    done = subprocess.run([python, "-c", ASK_TORCH], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{python} has no PyTorch; name one that has with --python")
    return json.loads(done.stdout.splitlines()[-1])


class Programs:
    """Where the programs are, and the environment that they need."""

    def __init__(self, folder, libraries, models):
        self.folder, self.libraries, self.models = folder, libraries, models

    def path(self, name):
        places = [self.folder / name, self.folder / {**PROGRAMS, **OPTIONAL}.get(name, name)]
        for place in places:
            if place.is_file():
                return place
        raise Missing(f"{name} is not in {self.folder}")

    def environment(self):
        variables = {**os.environ, "OMP_WAIT_POLICY": "passive", "RETOUCHD_SOURCE": str(SOURCE)}
        if self.libraries:
            before = [variables["LD_LIBRARY_PATH"]] if variables.get("LD_LIBRARY_PATH") else []
            variables["LD_LIBRARY_PATH"] = ":".join([*map(str, self.libraries), *before])
        return variables


def built(folder, as_built):
    """The programs of a build folder, made anew if need be."""
    if not (folder / "build.ninja").exists():
        raise Failed(f"nothing is built in {folder}; run scripts/quickstart or scripts/test first, or set RETOUCHD_BUILD")
    if not as_built:
        targets = [*PROGRAMS.values(), *(path for path in OPTIONAL.values() if is_target(folder, path))]
        subprocess.run(["ninja", "-C", folder, *targets], check=True, stdout=sys.stderr)
    return Programs(folder, [], SOURCE / "models")


def is_target(folder, path):
    return subprocess.run(["ninja", "-C", folder, "-t", "query", path], capture_output=True).returncode == 0


def dependencies(file):
    """{name: path} of the libraries that a program or module needs, theirs included."""
    done = subprocess.run(["ldd", file], capture_output=True, text=True, check=True)
    found = {}
    for line in done.stdout.splitlines():
        name, arrow, place = line.partition(" => ")
        if arrow and place.startswith("/"):
            found[name.strip()] = Path(place.rsplit(" (", 1)[0])
    return found


def is_packed(name, path):
    if name.startswith(OF_THE_SYSTEM):
        return False
    return "site-packages" not in str(path.resolve()) and ".deps/libtorch" not in str(path)


def pack(build, folder):
    """Writes retouchd.tar.xz into `folder`; its size in bytes. Failed when it is too large."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "retouchd.tar.xz"
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for part in ("bin", "lib", "share/retouchd/models", "share/retouchd/compile"):
            (root / part).mkdir(parents=True)
        files = [build / path for path in PROGRAMS.values()]
        files += [build / path for path in OPTIONAL.values() if (build / path).is_file()]
        modules = sorted((build / "modules").glob("libretouchd_*.so"))
        missing = [str(file) for file in files if not file.is_file()]
        if missing:
            raise Failed(f"these are not built: {', '.join(missing)}")
        libraries = {}
        for file in [*files, *modules]:
            libraries |= {name: path for name, path in dependencies(file).items() if is_packed(name, path)}
        for file in files:
            shutil.copy(file, root / "bin")
        for file in [*modules, *libraries.values()]:
            shutil.copy(file, root / "lib" / file.name)
        subprocess.run(["strip", "--strip-unneeded", *(root / "bin").iterdir(), *(root / "lib").iterdir()], check=True)
        for file in ("student-tiny.safetensors", "skip-good.json"):
            shutil.copy(SOURCE / "models" / file, root / "share/retouchd/models")
        for file in ("compile_network.py", "lean_restormer.py", "network.py", "state_dict.py"):
            shutil.copy(SOURCE / "training" / file, root / "share/retouchd/compile")
        about = {"torch": torch_version_of(build), "modules": [module.name for module in modules], "libraries": sorted(libraries)}
        (root / "about.json").write_text(json.dumps(about, indent=1))
        with tarfile.open(archive, "w:xz", preset=2) as tar:
            tar.add(root, ".")
    size = archive.stat().st_size
    if size > LARGEST_PACK:
        raise Failed(f"{archive} has {size / (1 << 20):.1f} MiB, and {LARGEST_PACK >> 20} are the most")
    return size


def torch_version_of(build):
    """That the programs were linked with."""
    for line in (build / "CMakeCache.txt").read_text().splitlines():
        if line.startswith("LIBTORCH_INCLUDE_DIR:"):
            text = (Path(line.partition("=")[2]) / "torch/headeronly/version.h").read_text()
            numbers = [word for part in ("MAJOR", "MINOR", "PATCH")
                       for word in [text.split(f"#define TORCH_VERSION_{part} ")[1].split()[0]]]
            return ".".join(numbers)
    raise Failed(f"{build}/CMakeCache.txt names no LibTorch")


def unpacked(folder, into, torch):
    """The programs of a pack."""
    archive = folder / "retouchd.tar.xz"
    if not archive.is_file():
        raise Failed(f"{archive} is missing; make it with `bench/gpu --pack {folder}` where retouchd is built")
    with tarfile.open(archive) as tar:
        tar.extractall(into, filter="data")
    about = json.loads((into / "about.json").read_text())
    if about["torch"] != torch["version"].split("+")[0]:
        raise Failed(f"the programs want PyTorch {about['torch']}, and this Python has {torch['version']}")
    if not torch["cxx11"]:
        raise Failed("the programs want a PyTorch with the new C++ ABI, as PyPI's is")
    nvidia = sorted({str(path.parent) for path in Path(torch["packages"]).glob("nvidia/*/lib/*.so*")})
    return Programs(into / "bin", [torch["library"], into / "lib", *nvidia], into / "share/retouchd/models")
