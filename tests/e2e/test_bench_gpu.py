"""bench/gpu: what can be known of it without a GPU. Its arithmetic, and the whole run with networks of a test on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon_process import RETOUCHD, SOURCE

BENCH = SOURCE / "bench"
BUILD = Path(RETOUCHD).resolve().parents[1]
LIBTORCH = SOURCE / ".deps/libtorch"

sys.path.append(str(BENCH))

import gpu_model  # noqa: E402
from gpu_run import Budget, Failed, Results, lines_of  # noqa: E402


def torch_python():
    """The Python whose PyTorch retouchd was built with; None where LibTorch came alone."""
    python = Path(os.path.realpath(LIBTORCH)).parents[3] / "bin/python"
    if not python.exists() or subprocess.run([python, "-c", "import torch, numpy"], capture_output=True).returncode != 0:
        return None
    return str(python)


def run_gpu(tmp_path, *arguments):
    environment = {**os.environ, "RETOUCHD_BUILD": str(BUILD), "OMP_NUM_THREADS": "1"}
    command = [torch_python(), BENCH / "gpu", "--quick", "--device", "cpu", "--as-built", "--out", tmp_path / "out", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, json.loads((tmp_path / "out/gpu.json").read_text())


needs_torch = pytest.mark.skipif(torch_python() is None, reason="no Python with PyTorch")


def test_the_arithmetic_is_that_of_the_published_network():
    base = gpu_model.Size()
    assert gpu_model.multiplications(base, 512, 512) / 1e9 == pytest.approx(619.5, abs=0.1)
    assert gpu_model.multiplications(base, 256, 256) / 1e9 == pytest.approx(154.88, abs=0.01)
    student = gpu_model.Size(dim=32, blocks=(1, 2, 2, 3), refinement=1)
    assert gpu_model.multiplications(student, 256, 256) / 1e9 == pytest.approx(24.0, abs=0.1)


def test_the_bytes_of_each_step_of_fusing_are_those_of_its_kernels():
    base = gpu_model.Size()
    gigabytes = [gpu_model.tile_bytes(base, 512, 512, step) / 1e9 for step in range(len(gpu_model.STEPS))]
    assert gigabytes == pytest.approx([50.3, 38.3, 32.2, 23.2, 10.4, 5.9], abs=0.05)
    assert gpu_model.resampling(base, 512, 512)[1] * 2 / 1e9 == pytest.approx(0.6, abs=0.05)
    wide = gpu_model.block_operations(96, 255, 1, 512 * 512)
    assert sum(products for products, _ in wide.values()) / 1e9 == pytest.approx(35.7, abs=0.1)
    assert sum(numbers for _, numbers in wide.values()) * 2 / 1e6 == pytest.approx(3316, abs=5)


def test_a_bound_names_what_limits():
    base = gpu_model.Size()
    tiles, why = gpu_model.bound(base, 512, 512, 0, 400e12, 4e12)
    assert why == "memory" and tiles == pytest.approx(80, abs=1)
    tiles, why = gpu_model.bound(base, 512, 512, 5, 400e12, 4e12)
    assert why == "arithmetic" and tiles == pytest.approx(646, abs=1)


def test_what_a_program_said_before_its_time_was_over_is_kept(tmp_path):
    results, heard = Results(tmp_path / "gpu.json"), []
    budget = Budget(3)
    with pytest.raises(Failed, match="time was over"):
        for line in lines_of([sys.executable, "-c", "import time; print('{\"a\": 1}', flush=True); time.sleep(600)"], budget):
            heard.append(line)
            results.add("step", **line)
    assert heard == [{"a": 1}]
    assert json.loads((tmp_path / "gpu.json").read_text())["lines"] == [{"step": "step", "a": 1}]


def test_a_program_that_fails_says_why(tmp_path):
    with pytest.raises(Failed, match="ended with 3: the reason"):
        list(lines_of([sys.executable, "-c", "import sys; print('the reason', file=sys.stderr); sys.exit(3)"], Budget(60)))


@needs_torch
def test_the_whole_run_measures_everything_that_a_cpu_can(tmp_path):
    table, content = run_gpu(tmp_path, "--minutes", "7")
    steps = {name: step["status"] for name, step in content["steps"].items()}
    assert (steps.pop("energy"), steps.pop("kernels")) == ("skipped", "skipped")  # both are for a GPU
    assert set(steps.values()) == {"done"}, content["steps"]
    rates = {(line["way"], line["case"]) for line in content["lines"] if "tiles_per_s" in line}
    assert {("optimized fp32", "64x64x2"), ("optimized bf16", "64x64x2"), ("eager fp32", "64x64x2"), ("optimized bf16", "16x16x1")} <= rates
    ours = {line["way"]: line for line in content["lines"] if line["step"] == "ours" and line.get("case") == "64x64x1"}
    assert ours["optimized fp32"]["largest_difference"] < 1e-5 and ours["optimized bf16"]["mean_difference"] < 0.01
    for line in content["lines"]:
        if line["step"] == "saturation":
            assert line["ratio"] > 0 and line["codecs"]
    assert table.strip() == (tmp_path / "out/gpu.md").read_text().strip()
    assert "a test of this program, not a measurement" in table


@needs_torch
def test_a_second_run_goes_on_where_the_first_one_ended(tmp_path):
    _, first = run_gpu(tmp_path, "--only", "machine,large", "--minutes", "0.02")
    assert {step["status"] for step in first["steps"].values()} == {"skipped"}
    _, second = run_gpu(tmp_path, "--only", "machine", "--continue", tmp_path / "out/gpu.json")
    assert second["steps"]["machine"]["status"] == "done" and second["steps"]["large"]["status"] == "skipped"
    _, third = run_gpu(tmp_path, "--only", "machine,large", "--continue", tmp_path / "out/gpu.json")
    assert third["steps"]["machine"] == second["steps"]["machine"] and third["steps"]["large"]["status"] == "done"


@needs_torch
def test_a_pack_runs_without_the_build(tmp_path):
    environment = {**os.environ, "RETOUCHD_BUILD": str(BUILD)}
    subprocess.run([torch_python(), BENCH / "gpu", "--as-built", "--pack", tmp_path / "pack"], env=environment, check=True, timeout=500)
    assert (tmp_path / "pack/retouchd.tar.xz").stat().st_size < 64 << 20
    _, content = run_gpu(tmp_path, "--only", "ours,saturation", "--packed", tmp_path / "pack")
    assert {name: step["status"] for name, step in content["steps"].items()} == {"ours": "done", "saturation": "done"}, content["steps"]
