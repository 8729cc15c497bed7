"""Weights as tables of tensors, whatever file they come in."""

import json
import struct

import torch

# What holds the weights beside epochs and optimizers, the best first.
WRAPPERS = ("model_state_dict", "state_dict", "params_ema", "params-ema", "params", "model", "net")
PREFIXES = ("module.", "netG.")


def unwrapped(checkpoint):
    """The table of a checkpoint, out of its wrappers and without prefixes that all names share."""
    while True:
        inner = next((checkpoint[name] for name in WRAPPERS if isinstance(checkpoint.get(name), dict)), None)
        if inner is None and len(checkpoint) == 1 and isinstance(next(iter(checkpoint.values())), dict):
            inner = next(iter(checkpoint.values()))
        if inner is None:
            break
        checkpoint = inner
    table = {name: value for name, value in checkpoint.items() if isinstance(value, torch.Tensor)}
    prefix = True
    while prefix:
        prefix = next((p for p in PREFIXES if table and all(name.startswith(p) and name != p for name in table)), None)
        if prefix:
            table = {name[len(prefix):]: value for name, value in table.items()}
    return table


def read_safetensors(path):
    """By hand, so that PyTorch is all that compiling needs."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    types = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
             "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8}
    table = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(data[begin:end], dtype=types[entry["dtype"]]) if end > begin else torch.empty(0)
        table[name] = flat.reshape(entry["shape"])
    return table


def read_weights(path):
    """Tensors by name, numbers in fp32. Nothing in the file is executed."""
    if path.endswith(".safetensors"):
        table = read_safetensors(path)
    else:
        table = unwrapped(torch.load(path, map_location="cpu", weights_only=True))
    return {name: value.float() if value.is_floating_point() else value for name, value in table.items()}
