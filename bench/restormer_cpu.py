#!/usr/bin/env python3
"""Seconds of a Restormer's forward pass on the CPU: eager PyTorch, plain and lean, by precision, alternating in one run.

    python3 bench/restormer_cpu.py [--json] [--rounds 3] [--side 256] [--program build/release/bench/restormer_forward]

Needs PyTorch. Medians over the rounds of CPU seconds (of all threads) and of wall seconds, the second pass of each process.
On a busy machine only the CPU seconds mean something.
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile

import numpy
import torch

from eager_restormer import Restormer, write_safetensors
from lean_memory import HERE, run


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parent / "build/release/bench/restormer_forward")
    parser.add_argument("--side", type=int, action="append")
    parser.add_argument("--threads", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    eager = [sys.executable, str(HERE / "eager_restormer.py")]
    ours = [str(arguments.program)]
    commands = {
        "eager fp32": [*eager],
        "eager bf16": [*eager, "--precision", "bf16"],
        "plain fp32": [*ours, "--plain"],
        "lean fp32": [*ours],
        "lean bf16": [*ours, "--precision", "bf16"],
        "lean int8": [*ours, "--precision", "int8"],
    }
    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_safetensors(folder / "weights", Restormer().state_dict())
        for side in arguments.side or [256, 512]:
            numpy.random.default_rng(side).random((side, side, 3), numpy.float32).tofile(folder / "picture")
            for threads in arguments.threads or [1, 2]:
                shared = ["--weights", folder / "weights", "--input", folder / "picture", "--height", side, "--width", side]
                shared = [str(part) for part in [*shared, "--threads", threads, "--repeat", 2]]
                times = {label: [] for label in commands}
                for _ in range(arguments.rounds):
                    for label, command in commands.items():
                        report = run([*command, *shared])
                        times[label].append((report["cpu_seconds"][-1], report["seconds"][-1]))
                base = statistics.median(cpu for cpu, _ in times["eager fp32"])
                for label, pairs in times.items():
                    cpu, wall = (statistics.median(column) for column in zip(*pairs))
                    results.append(
                        {"side": side, "threads": threads, "path": label, "cpu_seconds": cpu, "seconds": wall, "speedup": base / cpu}
                    )
                    if not arguments.json:
                        print(f"| {side} | {threads} | {label} | {cpu:.2f} | {wall:.2f} | {base / cpu:.2f} |", flush=True)
    if arguments.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
