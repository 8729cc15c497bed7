"""Compiles a network for one device, precision and tile shape: what `retouch compile` runs.

Makes an AOTInductor package (.pt2) or, with --with tensorrt, a TorchScript module around TensorRT engines (.ts). Both are
called with [N, C, H, W] fp32 and return the same; dual-pixel networks take the right view as a second argument. N is 1 to
--batch, H and W are fixed.

--report receives a JSON object: what was made, or {"error": ...} with exit code 1. On a GPU several ways to write the same
arithmetic are compiled and the fastest is kept.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import traceback
import types


class Refused(Exception):
    """Something that the user can change."""


def import_torch(wanted):
    try:
        import torch
    except ImportError as error:
        raise Refused(f"{sys.executable} has no PyTorch ({error}); {remedy(wanted)}") from None
    version = torch.__version__.split("+")[0]
    if wanted and version != wanted:
        raise Refused(f"{sys.executable} has PyTorch {torch.__version__}, and packages must be made by the version that runs them; "
                      f"{remedy(wanted)}")
    return torch


def remedy(version):
    name = f"torch=={version}" if version else "torch"
    return f"install it with `{sys.executable} -m pip install {name}`, or name another Python with --python"


def numbers_of(torch, precision, depthwise):
    bodies = {"fp32": torch.float, "tf32": torch.float, "fp16": torch.half, "bf16": torch.bfloat16, "mixed": torch.bfloat16}
    body = bodies[precision]
    edges = torch.float if precision == "mixed" else body
    return types.SimpleNamespace(body=body, edges=edges, depthwise=depthwise)


def make_network(torch, weights, architecture, numbers, local_window):
    """(the network, how many channels each of its arguments has)"""
    if architecture == "restormer":
        from lean_restormer import LeanRestormer
        channels = weights["patch_embed.proj.weight"].shape[1]
        inputs = [channels // 2] * 2 if "skip_conv.weight" in weights else [channels]
        return LeanRestormer(weights, numbers, local_window), inputs
    if architecture == "student-tiny":
        from network import StudentTiny
        network = StudentTiny()
        network.load_state_dict(weights)
        return network.compute_in(numbers.body, numbers.edges).to(memory_format=torch.channels_last), [3]
    raise Refused(f"networks of the family {architecture} cannot be compiled yet; Restormer and student-tiny can")


def seconds_of(torch, run, arguments):
    def once():
        begin = time.perf_counter()
        run(*arguments)
        if arguments[0].is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    once()
    once()
    return statistics.median(once() for _ in range(5))


def export(torch, network, inputs, options):
    batch = 2 if options.batch > 1 else 1
    arguments = tuple(torch.rand(batch, channels, options.height, options.width, device=options.device) for channels in inputs)
    shapes = None
    if options.batch > 1:
        count = torch.export.Dim("count", min=1, max=options.batch)
        shapes = tuple({0: count} for _ in inputs)
    return torch.export.export(network, arguments, dynamic_shapes=shapes), arguments


def compile_inductor(torch, weights, options, folder):
    on_gpu = options.device.startswith("cuda")
    best = None
    for depthwise in ["library", "sums"] if on_gpu and options.architecture == "restormer" else ["library"]:
        network, inputs = make_network(torch, weights, options.architecture, numbers_of(torch, options.precision, depthwise),
                                       options.local_window)
        program, _ = export(torch, network.eval().to(options.device), inputs, options)
        file = os.path.join(folder, depthwise + ".pt2")
        # Threads: as many as the caller has when it calls, not as many as there are here.
        configs = {"max_autotune": options.autotune, "cpp.dynamic_threads": True}
        torch._inductor.aoti_compile_and_package(program, package_path=file, inductor_configs=configs)
        made = {"file": file, "variant": depthwise, "compiler": "inductor"}
        if on_gpu:
            arguments = [torch.rand(options.batch, c, options.height, options.width, device=options.device) for c in inputs]
            run = torch._inductor.aoti_load_package(file)
            made["batch_seconds"] = seconds_of(torch, run, arguments)
            del run
        if best is None or made["batch_seconds"] < best["batch_seconds"]:
            best = made
    return best


def compile_tensorrt(torch, weights, options, folder):
    if not options.device.startswith("cuda"):
        raise Refused("TensorRT is for NVIDIA GPUs")
    try:
        import torch_tensorrt
    except ImportError as error:
        raise Refused(f"{sys.executable} has no torch_tensorrt ({error}); install it with "
                      f"`{sys.executable} -m pip install torch-tensorrt=={torch.__version__.split('+')[0]}`") from None
    network, inputs = make_network(torch, weights, options.architecture, numbers_of(torch, options.precision, "library"),
                                   options.local_window)
    program, arguments = export(torch, network.eval().to(options.device), inputs, options)
    shapes = [[(n, c, options.height, options.width) for n in (1, options.batch, options.batch)] for c in inputs]
    wanted = [torch_tensorrt.Input(min_shape=s[0], opt_shape=s[1], max_shape=s[2], dtype=torch.float) for s in shapes]
    # Explicit typing: every product computes in the type that the network says.
    engine = torch_tensorrt.dynamo.compile(program, arg_inputs=wanted, use_explicit_typing=True)
    file = os.path.join(folder, "network.ts")
    torch_tensorrt.save(engine, file, output_format="torchscript", arg_inputs=list(arguments))
    library = os.path.join(os.path.dirname(torch_tensorrt.__file__), "lib", "libtorchtrt_runtime.so")
    return {"file": file, "variant": torch_tensorrt.__version__, "compiler": "tensorrt", "runtime": library}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True, help=".safetensors, .pth, .pt or .ckpt")
    parser.add_argument("--architecture", required=True, help="restormer or student-tiny")
    parser.add_argument("--device", required=True, help="cpu, cuda:0, ...")
    parser.add_argument("--precision", required=True, choices=["fp32", "tf32", "fp16", "bf16", "mixed"])
    parser.add_argument("--height", required=True, type=int)
    parser.add_argument("--width", required=True, type=int)
    parser.add_argument("--batch", default=1, type=int, help="the most pictures in one call")
    parser.add_argument("--local-window", type=int, help="side of the windows of attention: local")
    parser.add_argument("--autotune", action="store_true", help="tries many kernels for each product; takes much longer")
    parser.add_argument("--with", dest="compiler", default="inductor", choices=["inductor", "tensorrt"])
    parser.add_argument("--torch", help="the version of PyTorch that the package is for")
    parser.add_argument("--output", required=True, help="the file to write")
    parser.add_argument("--report", required=True, help="the file that tells what was made")
    return parser.parse_args()


def work(options):
    torch = import_torch(options.torch)
    from state_dict import read_weights
    on_gpu = options.device.startswith("cuda")
    if on_gpu and not torch.cuda.is_available():
        raise Refused(f"PyTorch of {sys.executable} finds no CUDA device")
    if on_gpu:
        torch.cuda.set_device(options.device)  # where packages are tried, and what is waited for
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.precision == "tf32"
    torch.set_num_threads(max(2, os.cpu_count()))  # with one the compiler would write code for one
    begin = time.perf_counter()
    weights = read_weights(options.weights)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        make = compile_tensorrt if options.compiler == "tensorrt" else compile_inductor
        made = make(torch, weights, options, folder)
        shutil.copyfile(made.pop("file"), options.output)
    made.update(torch=torch.__version__.split("+")[0], compile_seconds=round(time.perf_counter() - begin, 1))
    return made


def main():
    options = parse()
    try:
        answer = work(options)
    except Refused as error:
        answer = {"error": str(error)}
    except Exception as error:  # what the compiler says is for the user to read
        traceback.print_exc()
        lines = [line for line in str(error).splitlines() if line.strip()]
        answer = {"error": f"{type(error).__name__}: {' '.join(lines)[:1000]}"}
    with open(options.report, "w", encoding="utf-8") as file:
        json.dump(answer, file)
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main())
