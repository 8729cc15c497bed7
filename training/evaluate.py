"""Measures a built-in network against what OpenCV or simple filters can do, and says whether it keeps its promises."""

import argparse
import time

import cv2
import torch
from safetensors import safe_open

import denoise_report
import rgbd_report
from export import load_network

REPORTS = {"student-tiny": denoise_report.report, "rgbd-tiny": rgbd_report.report}


def report(weights):
    """The measured part of the model card, and whether every gate is passed."""
    with safe_open(weights, "pt") as file:
        arch = file.metadata()["arch"]
    if arch not in REPORTS:
        raise SystemExit(f"{weights}: there are no measurements for `{arch}`, only for {', '.join(REPORTS)}")
    return REPORTS[arch](load_network(weights))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", help="a .safetensors file of export.py")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    before = time.monotonic()
    text, passed = report(options.weights)
    print(text, f"\n({time.monotonic() - before:.0f} s)", sep="")
    raise SystemExit(0 if passed else 1)


if __name__ == "__main__":
    main()
