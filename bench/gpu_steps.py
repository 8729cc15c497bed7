"""The steps of bench/gpu. Each takes a Bench, adds lines to its results, and raises Failed with the reason when it cannot go on."""

import dataclasses
import os
import shlex
import shutil
import subprocess
from pathlib import Path

from gpu_programs import Programs
from gpu_run import Budget, Failed, Missing, Power, Results, lines_of

HERE = Path(__file__).resolve().parent
PICTURE = "1536x1024"  # gpu_inputs.PICTURE
PREVIEW = "1226x816"  # one megapixel of a picture of 3:2: what a preview computes by default
TOLERANCE = 0.001  # mean difference from fp32 on [0, 1] that 16-bit ways may have


@dataclasses.dataclass(frozen=True)
class Way:
    """How retouchd computes. Precision "auto" is the backend's own choice."""

    backend: str
    precision: str
    graphs: bool = False

    def label(self):
        return f"{self.backend} {self.precision}" + (" graphs" if self.graphs else "")

    def options(self):
        return ["--backend", self.backend, "--precision", self.precision, *(["--graphs"] if self.graphs else [])]

    def settings(self):
        """The same as configuration keys."""
        keys = [f"precision={self.precision}"]
        if self.backend != "optimized":
            keys.append(f"backend={self.backend}")
        if self.graphs:
            keys.append("cuda_graphs=true")
        return [part for key in keys for part in ("--set", key)]


@dataclasses.dataclass
class Plan:
    """What is measured, on a GPU or as a test of this program."""

    device: str
    quick: bool

    def __post_init__(self):
        self.large = "128x96" if self.quick else "3296x2192"
        self.side = 64 if self.quick else 512
        self.headline = [1, 2] if self.quick else [8, 16]
        self.sides = [64] if self.quick else [512, 384]
        self.batches = [1, 2] if self.quick else [16, 8, 1, 32, 4, 2]
        self.seconds = 0.05 if self.quick else 0.4
        if self.quick:
            self.ways = [Way("optimized", "fp32"), Way("optimized", "bf16")]
            self.eager = ["fp32", "bf16"]
        else:
            self.ways = [Way("fused", "fp16"), Way("optimized", "fp16"), Way("optimized", "fp16", True), Way("fused", "fp16", True),
                         Way("fused", "bf16"), Way("optimized", "bf16"), Way("optimized", "mixed"), Way("optimized", "mixed", True),
                         Way("optimized", "int8"), Way("optimized", "tf32")]
            self.eager = ["fp16", "tf32", "fp32"]

    def cases(self, side, batches):
        return [part for batch in batches for part in ("--case", f"{side}x{side}x{batch}")]


@dataclasses.dataclass
class Bench:
    plan: Plan
    programs: Programs
    python: str
    inputs: Path
    results: Results
    budget: Budget
    cache: Path

    @property
    def state(self):
        """Of `retouch compile`."""
        return self.inputs.parent / "state"

    def peer(self, *arguments, at_most=float("inf")):
        command = [self.python, HERE / "gpu_peer.py", "--device", self.plan.device, "--inputs", self.inputs, *arguments]
        if self.plan.quick:
            command.append("--small")
        environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(self.cache / "inductor"), "TRITON_CACHE_DIR": str(self.cache / "triton")}
        return lines_of(command, self.budget, environment, at_most)

    def forward(self, network, way, *arguments, at_most=float("inf")):
        limit = min(at_most, self.budget.left_of_step()) - 5
        command = [self.programs.path("network_forward"), "--models", self.inputs, "--models", self.programs.models,
                   "--network", network, "--device", self.plan.device, *way.options(), "--compiled", self.state / "compiled", "--input", self.inputs / "picture.rgb",
                   "--input-size", PICTURE, "--seconds", self.plan.seconds, "--limit", round(limit, 1), *arguments]
        return lines_of(command, self.budget, self.programs.environment(), at_most)

    def json_of(self, name, *arguments):
        """What a program prints, one object."""
        for line in lines_of([self.programs.path(name), *arguments, "--json"], self.budget, self.programs.environment()):
            return line
        raise Failed(f"{name} printed nothing")

    def fastest(self):
        """Of ours at the headline's shape, whose numbers are right; what later steps run."""
        shape = f"{self.plan.side}x{self.plan.side}x"
        right = {line["way"] for line in self.results.lines(kind="ours", network="restormer")
                 if line.get("finite") and line.get("mean_difference", 1) < TOLERANCE}
        lines = [line for line in self.results.lines(kind="ours", network="restormer")
                 if line["way"] in right and line["backend"] != "compiled" and line.get("case", "").startswith(shape) and "tiles_per_s" in line]
        if not lines:
            return self.plan.ways[0] if self.plan.quick else Way("optimized", "auto")
        best = max(lines, key=lambda line: line["tiles_per_s"])
        return Way(best["backend"], best["precision"], best["graphs"])


def machine(bench):
    fields = bench.results.content["machine"]
    if shutil.which("nvidia-smi"):
        keys = ["name", "driver_version", "pstate", "clocks.sm", "clocks.max.sm", "clocks.mem", "power.draw", "power.limit",
                "temperature.gpu", "ecc.mode.current", "mig.mode.current"]
        done = subprocess.run(["nvidia-smi", f"--query-gpu={','.join(keys)}", "--format=csv,noheader"], capture_output=True, text=True)
        if done.returncode == 0:
            fields["nvidia-smi"] = [dict(zip(keys, map(str.strip, line.split(",")))) for line in done.stdout.splitlines()]
    for line in bench.peer("roofs"):
        if "machine" in line:
            fields |= line["machine"]
        else:
            bench.results.content["roofs"][line.pop("roof")] = line
        bench.results.save()


def add_forward(bench, step, network, way, lines):
    """Notes what network_forward says of one way."""
    how = {"kind": "ours", "network": network, "way": way.label(), **dataclasses.asdict(way)}
    for line in lines:
        if "load_seconds" in line:
            if not line["backend"].startswith(way.backend):
                raise Failed(" ".join([f"{line['backend']} computed it {line['backend_reason']};", *line["backend_warnings"]])[:400])
            how |= {"computes_in": line["precision"], **({"warning": line["warning"]} if line["warning"] else {})}
        elif "case" in line or "picture" in line:
            bench.results.add(step, **how, **line)


def attempt(works):
    """Each by itself: one that fails does not keep the others from being measured. Failed with the first reason in the end."""
    reasons = []
    for work in works:
        try:
            work()
        except Failed as error:
            reasons.append(str(error))
    if reasons:
        raise Failed(reasons[0])


def each_way(bench, step, ways, arguments):
    """One process for each way. A way that this build or device does not have is a line, too."""
    done = 0
    for way in ways:
        try:
            if bench.budget.left_of_step() < 3:
                raise Failed("no time was left")
            # One that hangs leaves time for the others.
            lines = bench.forward("restormer", way, *arguments, at_most=45)
            add_forward(bench, step, "restormer", way, lines)
            done += 1
        except Failed as error:
            bench.results.add(step, kind="ours", network="restormer", way=way.label(), error=str(error))
    if not done:
        raise Failed("none of our ways came to its end")


def ours(bench):
    plan = bench.plan
    each_way(bench, "ours", plan.ways, ["--check", *plan.cases(plan.side, plan.headline)])


def sweep(bench):
    """All batches and sides: our fastest way, and PyTorch's."""
    plan = bench.plan
    cases = [part for side in plan.sides for part in plan.cases(side, plan.batches)]
    way = bench.fastest()
    attempt([lambda: add_forward(bench, "sweep", "restormer", way, bench.forward("restormer", way, *cases, at_most=40)),
             lambda: peers(bench, "sweep", "eager", ["--precision", plan.eager[0], "--seconds", plan.seconds, *cases])])


def peers(bench, step, what, arguments):
    for line in bench.peer(*arguments, what):
        if "way" in line:
            bench.results.add(step, kind="peer", network="restormer", **line)


def eager(bench):
    plan = bench.plan
    arguments = ["--seconds", plan.seconds, *plan.cases(plan.side, plan.headline)]
    attempt([lambda precision=precision: peers(bench, "eager", "eager", ["--precision", precision, *arguments])
             for precision in plan.eager])


def compiled_peer(bench):
    """Minutes for each shape: the headline's only, the larger batch first."""
    plan = bench.plan
    peers(bench, "compile", "compile", ["--precision", plan.eager[0], "--mode", "max-autotune", *plan.cases(plan.side, plan.headline[::-1])])


def quickly_compiled_peer(bench):
    """What torch.compile makes of it without searching, where the search came to no end."""
    plan = bench.plan
    if any("tiles_per_s" in line for line in bench.results.lines("compile")):
        return
    peers(bench, "compile_default", "compile", ["--precision", plan.eager[0], "--mode", "default", *plan.cases(plan.side, plan.headline[-1:])])


def compiled(bench):
    """`retouch compile`, and the package that it makes."""
    plan = bench.plan
    # Python is to find its own libraries.
    python = bench.inputs.parent / "python"
    python.write_text(f'#!/bin/sh\nunset LD_LIBRARY_PATH\nexec {shlex.quote(bench.python)} "$@"\n')
    python.chmod(0o755)
    way, batch = Way("compiled", plan.eager[0]), plan.headline[-1]
    settings = {"device": plan.device, "model_dirs": bench.inputs, "state_dir": bench.state, "precision": way.precision}
    made = bench.json_of("retouchd", "compile", "restormer", "--tile", f"{plan.side}x{plan.side}", "--batch", batch, "--python", python,
                         *(part for key, value in settings.items() for part in ("--set", f"{key}={value}")))
    bench.results.add("compiled", kind="compilation", network="restormer", compilation=made)
    add_forward(bench, "compiled", "restormer", way, bench.forward("restormer", way, "--check", *plan.cases(plan.side, plan.headline)))


def package_peer(bench):
    plan = bench.plan
    arguments = ["--precision", plan.eager[0], "--mode", "default" if plan.quick else "max-autotune"]
    peers(bench, "package", "package", [*arguments, *plan.cases(plan.side, plan.headline[-1:])])


def saturation(bench):
    """The daemon against a bare loop of the same network over the same tiles."""

    def measure(network, way):
        arguments = [*common_settings(bench, network, way), "--rounds", "1" if bench.plan.quick else "3"]
        arguments += ["--pictures", "2", "--scale", "0.1"] if bench.plan.quick else ["--pictures", "14"]
        line = with_or_without_sandbox(bench, "saturation", arguments)
        bench.results.add("saturation", kind="daemon", **{**line, "network": network, "way": way.label()})

    attempt([lambda: measure("restormer", bench.fastest()), lambda: measure("student-tiny", Way("optimized", "auto"))])


def common_settings(bench, network, way):
    return ["--set", f"model_dirs={bench.inputs}", "--set", f"network={network}", "--set", f"device={bench.plan.device}",
            "--set", "memory=4GiB" if bench.plan.quick else "memory=32GiB", *way.settings()]


def with_or_without_sandbox(bench, program, arguments):
    """In a container that forbids what the sandbox is made of, pictures are read without it, and the line says so."""
    try:
        return bench.json_of(program, *arguments)
    except Failed as error:
        if "sandbox" not in str(error):
            raise
        return {"sandbox": False, **bench.json_of(program, *arguments, "--set", "sandbox.enabled=false")}


def large(bench):
    """Seven megapixels in one pass and in tiles; and the tiles of a preview."""
    way, batch = bench.fastest(), bench.plan.headline[-1]
    preview = "96x64" if bench.plan.quick else PREVIEW
    add_forward(bench, "large", "restormer", way,
                bench.forward("restormer", way, "--case", f"{bench.plan.large}x1", "--picture", f"{bench.plan.large}x{batch}",
                              "--picture", f"{preview}x{batch}"))


def energy(bench):
    """Joules for a tile while nothing else runs."""
    uuid = bench.results.content["machine"].get("uuid")
    if not uuid:
        raise Missing("power is read from NVIDIA GPUs only")
    power, way = Power(uuid), bench.fastest()
    side, begun = bench.plan.side, None
    case = f"{side}x{side}x{bench.plan.headline[-1]}"
    for line in bench.forward("restormer", way, "--case", case, "--steady", 6):
        if line.get("steady") == "begins":
            begun = power.joules()
        elif line.get("steady") == "ended" and begun is not None:
            joules = power.joules() - begun
            bench.results.add("energy", kind="energy", network="restormer", way=way.label(), case=case, tiles=line["tiles"],
                              seconds=line["seconds"], joules_per_tile=joules / max(1, line["tiles"]), watts=joules / line["seconds"])


def others(bench):
    """The other networks. An upsampler's tiles are smaller."""
    side = bench.plan.side

    def measure(network, way, cases):
        arguments = [part for case in cases for part in ("--case", case)]
        add_forward(bench, "others", network, way, bench.forward(network, way, "--check", *arguments))

    attempt([lambda: measure("student-tiny", Way("optimized", "auto"), [f"{side}x{side}x{batch}" for batch in bench.plan.headline]),
             lambda: measure("drct", Way("optimized", "bf16"), [f"{side // 4}x{side // 4}x{batch}" for batch in bench.plan.headline])])


def preview(bench):
    """From acceptance to the preview while pictures of seven megapixels wait."""
    way = bench.fastest()
    many = ["--backlog", "1", "--probes", "1", "--set", "preview.megapixels=0.05"] if bench.plan.quick else ["--backlog", "60", "--probes", "12", "--every", "0.5"]
    line = with_or_without_sandbox(bench, "preview_latency", [*common_settings(bench, "restormer", way), *many])
    bench.results.add("preview", kind="daemon", **{**line, "network": "restormer", "way": way.label()})


def kernels(bench):
    """Of the fused backend's kernels, one by one."""
    kind, _, index = bench.plan.device.partition(":")
    if kind != "cuda":
        raise Missing("they run on NVIDIA GPUs only")
    for batch in (1, bench.plan.headline[0]):
        report = bench.json_of("kernel_times", "--device", index or "0", "--side", bench.plan.side, "--batch", batch)
        bench.results.add("kernels", kind="kernels", batch=batch, report=report)


@dataclasses.dataclass(frozen=True)
class Step:
    """In the order in which they run: what matters most comes first."""

    run: object
    seconds: float  # at most
    least: float  # with less it is not begun


STEPS = {
    "machine": Step(machine, 45, 5),
    "ours": Step(ours, 130, 10),
    "eager": Step(eager, 75, 10),
    "compile": Step(compiled_peer, 210, 60),
    "saturation": Step(saturation, 75, 15),
    "large": Step(large, 40, 10),
    "energy": Step(energy, 25, 12),
    "compile_default": Step(quickly_compiled_peer, 120, 45),
    "sweep": Step(sweep, 90, 15),
    "others": Step(others, 40, 10),
    "preview": Step(preview, 45, 15),
    "kernels": Step(kernels, 30, 5),
    "compiled": Step(compiled, 240, 60),
    "package": Step(package_peer, 300, 60),
}
# A test does without what takes a compiler minutes.
SLOW = ("compile", "compile_default", "compiled", "package")
