#!/usr/bin/env python3
"""PyTorch's part of bench/gpu: what the device can do at all, and a Restormer as one runs it there. Lines of JSON.

    gpu_peer.py --device cuda:0 roofs
    gpu_peer.py --device cuda:0 --inputs FOLDER --case 512x512x8 eager --precision fp16
    gpu_peer.py --device cuda:0 --inputs FOLDER --case 512x512x8 compile --mode max-autotune
    gpu_peer.py --device cuda:0 --inputs FOLDER --case 512x512x8 package

Times are those of a batch that lies on the device and stays there: host clock around a forward pass and the wait for its end,
as retouchd measures its own. Ways that are not fp32 are compared with fp32 on one tile.
"""

import argparse
import json
import pathlib
import statistics
import time

import numpy
import torch

import gpu_inputs
from eager_restormer import read_safetensors

KINDS = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
LEAST_CALLS, WARM_UPS = 3, 3


def say(**fields):
    print(json.dumps(fields), flush=True)


class Device:
    def __init__(self, name):
        self.device = torch.device(name)
        self.is_cuda = self.device.type == "cuda"
        if self.is_cuda:
            torch.cuda.set_device(self.device)  # where packages are opened

    def wait(self):
        if self.is_cuda:
            torch.cuda.synchronize(self.device)

    def allow_tf32(self, allowed):
        torch.backends.cuda.matmul.allow_tf32 = allowed
        torch.backends.cudnn.allow_tf32 = allowed

    def empty(self):
        if self.is_cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak(self):
        return torch.cuda.max_memory_allocated(self.device) if self.is_cuda else 0

    def time(self, work, seconds):
        """Seconds of single calls, warmed up."""
        for _ in range(WARM_UPS):
            work()
        self.wait()
        times, start = [], time.perf_counter()
        while len(times) < LEAST_CALLS or time.perf_counter() - start < seconds:
            begin = time.perf_counter()
            work()
            self.wait()
            times.append(time.perf_counter() - begin)
        return times


def describe(device):
    fields = {"torch": torch.__version__, "cuda": torch.version.cuda, "device": str(device.device)}
    if device.is_cuda:
        properties = torch.cuda.get_device_properties(device.device)
        fields |= {"name": properties.name, "multiprocessors": properties.multi_processor_count,
                   "memory_bytes": properties.total_memory, "capability": f"{properties.major}.{properties.minor}",
                   "l2_bytes": getattr(properties, "L2_cache_size", None), "uuid": str(getattr(properties, "uuid", "")),
                   "cudnn": torch.backends.cudnn.version()}
    say(machine=fields)


def roofs(device, small):
    """What the device reaches on nothing but copies, and nothing but matrix products."""
    size = 1 << 22 if small else 1 << 30
    source = torch.ones(size, dtype=torch.uint8, device=device.device)
    target = torch.empty_like(source)
    copying = device.time(lambda: target.copy_(source), 0.5)
    say(roof="copy", bytes_per_s=2 * size / statistics.median(copying))
    del source, target
    side = 256 if small else 8192
    for precision in ("bf16",) if small else ("fp16", "bf16", "tf32", "fp32"):
        device.allow_tf32(precision == "tf32")
        a, b = (torch.randn(side, side, device=device.device).to(KINDS[precision]) for _ in range(2))
        times = device.time(lambda a=a, b=b: torch.mm(a, b), 0.5)
        say(roof=precision, multiplications_per_s=side**3 / statistics.median(times))
    device.allow_tf32(False)


class Peer:
    """A Restormer in one precision, and batches of the picture for it."""

    def __init__(self, device, inputs, precision, small):
        self.device, self.precision = device, precision
        self.kind = KINDS[precision]
        self.format = torch.channels_last if precision in ("fp16", "bf16") else torch.contiguous_format
        network = gpu_inputs.restormer(gpu_inputs.SMALL_RESTORMER if small else gpu_inputs.RESTORMER)
        network.load_state_dict(read_safetensors(inputs / "restormer.safetensors"))
        network.requires_grad_(False)
        self.plain = network
        self.network = gpu_inputs.restormer(gpu_inputs.SMALL_RESTORMER if small else gpu_inputs.RESTORMER).requires_grad_(False)
        self.network.load_state_dict(network.state_dict())
        self.network.to(device.device, self.kind, memory_format=self.format)
        width, height = gpu_inputs.PICTURE
        self.picture = numpy.fromfile(inputs / "picture.rgb", numpy.uint8).reshape(height, width, 3)

    def batch(self, width, height, count):
        """The tiles that retouchd's program cuts: each eight pixels to the right of the one before."""
        wide = numpy.pad(self.picture, ((0, max(0, height - self.picture.shape[0])),
                                        (0, max(0, width + 8 * count - self.picture.shape[1])), (0, 0)), "symmetric")
        tiles = numpy.stack([wide[:height, 8 * i:8 * i + width] for i in range(count)])
        return (torch.from_numpy(tiles).to(self.device.device).permute(0, 3, 1, 2).float() / 255).contiguous()

    def difference(self, forward, width, height):
        """Of one tile from fp32, mean and largest. The forward pass in fp32 goes away with its network afterwards."""
        pixels = self.batch(width, height, 1)
        result = forward(pixels.to(self.kind, memory_format=self.format)).float()
        self.device.allow_tf32(False)
        plain = self.plain.to(self.device.device)(pixels)
        self.plain.to("cpu")
        self.device.allow_tf32(self.precision == "tf32")
        away = (result - plain).abs()
        return plain, {"mean_difference": away.mean().item(), "largest_difference": away.max().item(),
                       "finite": bool(result.isfinite().all())}

    def measure(self, label, case, forward, seconds, reference=None, **more):
        """One line for one case; running out of memory is a result."""
        width, height, count = case
        fields = {"way": label, "case": "x".join(map(str, case)), **more}
        self.device.empty()
        try:
            batch = self.batch(width, height, count).to(self.kind, memory_format=self.format)
            self.device.allow_tf32(self.precision == "tf32")
            times = self.device.time(lambda: forward(batch), seconds)
            fields |= {"compute_seconds": statistics.median(times), "fastest_seconds": min(times), "calls": len(times),
                       "tiles_per_s": count / statistics.median(times), "peak_bytes": self.device.peak()}
            if reference:
                fields |= reference()
        except torch.OutOfMemoryError:
            fields |= {"out_of_memory": True, "error": "out of memory"}
        except RuntimeError as error:  # of a library below; later cases may go well
            fields |= {"error": str(error).splitlines()[0][:300]}
        say(**fields)


def run_eager(device, arguments):
    peer = Peer(device, arguments.inputs, arguments.precision, arguments.small)
    checked = set()
    for case in arguments.case:
        reference = None
        if case[:2] not in checked:
            checked.add(case[:2])

            def reference(case=case):
                plain, fields = peer.difference(peer.network, *case[:2])
                if arguments.output:
                    plain[0].permute(1, 2, 0).contiguous().cpu().numpy().tofile(arguments.output)
                return fields

        peer.measure(f"eager {arguments.precision}", case, peer.network, arguments.seconds, reference)


def run_compiled(device, arguments):
    """One case at a time, each compiled for its shape."""
    peer = Peer(device, arguments.inputs, arguments.precision, arguments.small)
    for case in arguments.case:
        width, height, count = case
        torch.compiler.reset()
        start = time.perf_counter()
        try:
            forward = torch.compile(peer.network, mode=arguments.mode, dynamic=False)
            forward(peer.batch(width, height, count).to(peer.kind, memory_format=peer.format))
            device.wait()
        except Exception as error:  # noqa: BLE001: the compiler has many of its own
            say(way=f"compile {arguments.mode} {arguments.precision}", case="x".join(map(str, case)), error=str(error).splitlines()[0][:300])
            continue
        peer.measure(f"compile {arguments.mode} {arguments.precision}", case, forward, arguments.seconds,
                     lambda forward=forward, case=case: difference_of_first(peer, forward, case),
                     compile_seconds=time.perf_counter() - start)


def difference_of_first(peer, forward, case):
    """As Peer.difference(), through a forward pass that takes whole batches only."""
    width, height, count = case

    def of_one(pixels):
        return forward(pixels.expand(count, -1, -1, -1).contiguous(memory_format=peer.format))[:1]

    return peer.difference(of_one, width, height)[1]


def run_package(device, arguments):
    """AOTInductor: compiled into a file, loaded from it."""
    peer = Peer(device, arguments.inputs, arguments.precision, arguments.small)
    for case in arguments.case:
        width, height, count = case
        example = peer.batch(width, height, count).to(peer.kind, memory_format=peer.format)
        start = time.perf_counter()
        try:
            exported = torch.export.export(peer.network, (example,))
            options = {"max_autotune": True} if arguments.mode.startswith("max-autotune") else {}
            package = torch._inductor.aoti_compile_and_package(
                exported, package_path=str(arguments.inputs / f"package-{count}.pt2"), inductor_configs=options)
            seconds = time.perf_counter() - start
            forward = torch._inductor.aoti_load_package(package)
        except Exception as error:  # noqa: BLE001: the compiler has many of its own
            say(way=f"package {arguments.mode} {arguments.precision}", case="x".join(map(str, case)), error=str(error).splitlines()[0][:300])
            continue
        peer.measure(f"package {arguments.mode} {arguments.precision}", case, forward, arguments.seconds,
                     lambda forward=forward, case=case: difference_of_first(peer, forward, case), compile_seconds=seconds)


def parse_case(text):
    width, height, count = (int(part) for part in text.split("x"))
    return width, height, count


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=["roofs", "eager", "compile", "package"])
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--inputs", type=pathlib.Path, help="by gpu_inputs.py")
    parser.add_argument("--precision", default="fp16", choices=list(KINDS))
    parser.add_argument("--mode", default="max-autotune", help="of torch.compile")
    parser.add_argument("--case", type=parse_case, action="append", help="WIDTHxHEIGHTxBATCH")
    parser.add_argument("--seconds", type=float, default=0.5, help="for one case")
    parser.add_argument("--output", type=pathlib.Path, help="raw fp32: the first tile of the first shape by fp32")
    parser.add_argument("--small", action="store_true", help="the networks of gpu_inputs.py --small")
    arguments = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    device = Device(arguments.device)
    describe(device)
    with torch.inference_mode():
        match arguments.what:
            case "roofs":
                roofs(device, arguments.small)
            case "eager":
                run_eager(device, arguments)
            case "compile":
                run_compiled(device, arguments)
            case "package":
                run_package(device, arguments)


if __name__ == "__main__":
    main()
