#!/usr/bin/env python3
"""Makes the small PyTorch files in pth/ that the tests of the weight readers use, and what PyTorch says is in them.

    python make_pth.py      # needs torch, numpy and safetensors; replaces pth/*

For each NAME.pth there is a NAME.golden.safetensors with the tensors that `torch.load` gives, contiguous and under the names that
retouchd shall use. Files without one must be refused or hold no weights. Nothing here is trained; the numbers are counted up.
"""

import argparse
import collections
import io
import os
import pathlib
import pickle
import tarfile
import zipfile

import numpy
import torch
from safetensors.torch import save as safetensors_bytes

HERE = pathlib.Path(__file__).parent / "pth"


def ramp(*shape, dtype=torch.float32):
    count = int(numpy.prod(shape)) if shape else 1
    return (torch.arange(count, dtype=torch.float64) * 0.25 - 1).to(dtype).reshape(shape)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.norm = torch.nn.BatchNorm2d(4)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(ramp(*parameter.shape))

    def forward(self, picture):
        return self.norm(self.conv(picture))


def save(name, value, golden=None, legacy=False):
    torch.save(value, HERE / f"{name}.pth", _use_new_zipfile_serialization=not legacy)
    if golden is not None:
        plain = {key: tensor.detach().clone().contiguous() for key, tensor in golden.items()}
        (HERE / f"{name}.golden.safetensors").write_bytes(safetensors_bytes(plain))


def both(name, value, golden):
    save(name, value, golden)
    save(f"{name}_legacy", value, golden, legacy=True)


class Gadget:
    """Runs a command when it is unpickled by a reader that calls what a pickle names."""

    def __reduce__(self):
        return os.system, ("touch /tmp/retouchd-pickle-was-executed",)


def main():
    HERE.mkdir(exist_ok=True)
    for old in HERE.iterdir():
        old.unlink()
    torch.manual_seed(0)
    state = Net().state_dict()

    both("bare", state, state)
    both("params", {"params": state}, state)
    save("params_ema", {"params": {"conv.weight": ramp(1)}, "params_ema": state}, state)
    module = collections.OrderedDict((f"module.{key}", value) for key, value in state.items())
    save("data_parallel", {"epoch": 3, "state_dict": module}, state)
    save("single_entry", {"generator": state}, state)

    types = {
        name: ramp(5, dtype=dtype)
        for name, dtype in {
            "f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32, "f64": torch.float64, "i64": torch.int64,
            "i32": torch.int32, "i16": torch.int16, "i8": torch.int8,
        }.items()
    }
    types["u8"] = torch.arange(5, dtype=torch.uint8)
    types["bool"] = torch.tensor([True, False, False, True, True])
    both("types", types, types)

    base = ramp(4, 6)
    views = {
        "base": base,
        "transposed": base.t(),
        "column": base[:, 2],
        "window": base[1:3, 2:5],
        "row": base[2],
        "steps": base[::2, ::3],
        "repeated": ramp(3).expand(2, 3),
        "permuted": ramp(2, 3, 4).permute(2, 0, 1),
        "channels_last": ramp(1, 3, 2, 2).contiguous(memory_format=torch.channels_last),
    }
    both("views", views, views)

    edge = {"empty": torch.empty(0), "empty2": torch.empty(2, 0, 3), "scalar": torch.tensor(2.5), "one": ramp(1, 1, 1)}
    both("edge", edge, edge)

    parameter = {"weight": torch.nn.Parameter(ramp(2, 3)), "frozen": torch.nn.Parameter(ramp(2), requires_grad=False)}
    both("parameter", parameter, parameter)

    net = Net()
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(2, 3, 4, 4)).sum().backward()
    optimizer.step()
    training = {
        "epoch": 7,
        "args": argparse.Namespace(lr=1e-4, name="x", gpus=[0, 1]),
        "best": numpy.float64(31.5),
        "history": numpy.arange(3.0),
        "tags": {"a", "b"},
        "seed": 2**80,
        "device": torch.device("cuda:0"),
        "optimizer": optimizer.state_dict(),
        "model": net.state_dict(),
    }
    both("training", training, net.state_dict())
    beside = {"weight": ramp(2), "note": "no tensor", "gadget": Gadget(), "nothing": None, "number": 0.5}
    save("beside", beside, {"weight": ramp(2)})

    save("gadget", Gadget())
    save("gadget_legacy", Gadget(), legacy=True)
    save("whole_module", torch.nn.Linear(1, 1))
    save("no_weights", {"epoch": 1, "optimizer": {"lr": 0.1}})
    save("complex", {"weight": torch.ones(2, dtype=torch.complex64)})
    torch.save({"weight": ramp(2)}, HERE / "protocol4.pth", pickle_protocol=4)

    # As torch.save writes it, but unpacked and compressed by another tool.
    with zipfile.ZipFile(HERE / "bare.pth") as source, zipfile.ZipFile(HERE / "compressed.pth", "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    with tarfile.open(HERE / "tar.pth", "w", format=tarfile.GNU_FORMAT) as target:
        for member in ("sys_info", "storages", "tensors", "pickle"):
            info = tarfile.TarInfo(member)
            data = pickle.dumps(0, protocol=2)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    torch.jit.trace(torch.nn.Linear(1, 1), torch.ones(1, 1)).save(HERE / "torchscript.pt")


if __name__ == "__main__":
    main()
