#!/usr/bin/env python3
"""Memory of a lean forward pass against PyTorch's eager mode: same network, weights and picture, measured in one run.

    python3 bench/lean_memory.py [--json] [--side 512] [--program build/release/bench/restormer_forward]

Needs PyTorch. Each pass has a process of its own; what counts is its highest resident size during the pass above the resident
size right before it (weights, libraries and picture do not count). --json prints one line for the largest side:
{"ratio": ..., "lean_bytes": ..., "eager_bytes": ..., "largest_difference": ...}
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import torch

from eager_restormer import Restormer, write_safetensors

HERE = pathlib.Path(__file__).resolve().parent


def run(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(program, weights, folder, side, threads):
    picture = folder / "picture"
    numpy.random.default_rng(side).random((side, side, 3), numpy.float32).tofile(picture)
    shared = ["--weights", weights, "--input", picture, "--height", side, "--width", side, "--threads", threads, "--output"]
    shared = [str(part) for part in shared]
    lean = run([str(program), *shared, str(folder / "lean")])
    eager = run([sys.executable, str(HERE / "eager_restormer.py"), *shared, str(folder / "eager")])
    difference = numpy.fromfile(folder / "lean", numpy.float32) - numpy.fromfile(folder / "eager", numpy.float32)
    return {
        "side": side,
        "ratio": round(lean["bytes"] / eager["bytes"], 4),
        "lean_bytes": lean["bytes"],
        "eager_bytes": eager["bytes"],
        "largest_difference": float(numpy.abs(difference).max()),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parent / "build/release/bench/restormer_forward")
    parser.add_argument("--side", type=int, action="append", help="of the square picture, a multiple of 8; repeatable")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        weights = folder / "weights.safetensors"
        write_safetensors(weights, Restormer().state_dict())
        for side in sorted(arguments.side or [512, 1024]):
            result = measure(arguments.program, weights, folder, side, arguments.threads)
            if not arguments.json:
                print(
                    f"{side}x{side}: lean {result['lean_bytes'] / 2**20:.0f} MiB, eager {result['eager_bytes'] / 2**20:.0f} MiB, "
                    f"ratio {result['ratio']:.3f}, outputs differ by at most {result['largest_difference']:.1e}",
                    flush=True,
                )
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
