"""Weight files for tests, made without PyTorch: small Restormers, upsamplers, and what PyTorch would have written of them."""

import json
import math
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np

from daemon_process import SOURCE

MODELS = SOURCE / "models"
GOLDEN = SOURCE / "tests/inference/data/golden"

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}
_NAMES = {np.dtype(dtype): name for name, dtype in _TYPES.items()}


def read_safetensors(file):
    """(tensors by name, metadata)"""
    data = file.read_bytes()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:end])
    metadata = header.pop("__metadata__", {})
    return {name: np.frombuffer(data[end + entry["data_offsets"][0]:end + entry["data_offsets"][1]],
                                _TYPES[entry["dtype"]]).reshape(entry["shape"]) for name, entry in header.items()}, metadata


def write_safetensors(file, tensors, metadata=None):
    header, data = {"__metadata__": metadata or {}}, b""
    for name, tensor in tensors.items():
        begin, data = len(data), data + np.ascontiguousarray(tensor).tobytes()
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": tensor.shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return file


def student_variant(file, strength):
    """The built-in network, but what it changes about a picture is `strength` times as much."""
    tensors, metadata = read_safetensors(MODELS / "student-tiny.safetensors")
    for name in ("ending.weight", "ending.bias"):
        tensors[name] = (tensors[name] * strength).astype(tensors[name].dtype)
    return write_safetensors(file, tensors, metadata)


def restormer(dim=16, blocks=(1, 1, 1, 1), refinement=1, heads=(1, 2, 4, 8), channels=3, strength=0.02, seed=1):
    """Tensors of a Restormer with random weights that changes a picture only a little: by about `strength` in [0, 1]."""
    random, tensors = np.random.default_rng(seed), {}

    def put(name, *shape, mean=0.0, deviation=1.0):
        tensors[name] = (random.standard_normal(shape) * deviation + mean).astype(np.float32)

    def convolution(name, rows, columns, side, gain=0.6):
        put(name + ".weight", rows, columns, side, side, deviation=gain / math.sqrt(columns * side * side))

    def stage(name, count, level):
        width = dim << level
        hidden = int(width * 2.66)
        for index in range(count):
            block = f"{name}.{index}"
            for norm in ("norm1", "norm2"):
                put(f"{block}.{norm}.body.weight", width, mean=1, deviation=0.1)
                put(f"{block}.{norm}.body.bias", width, deviation=0.1)
            put(f"{block}.attn.temperature", heads[0 if name == "refinement" or name == "decoder_level1" else level], 1, 1,
                mean=1, deviation=0.2)
            convolution(f"{block}.attn.qkv", 3 * width, width, 1)
            convolution(f"{block}.attn.qkv_dwconv", 3 * width, 1, 3)
            convolution(f"{block}.attn.project_out", width, width, 1)
            convolution(f"{block}.ffn.project_in", 2 * hidden, width, 1)
            convolution(f"{block}.ffn.dwconv", 2 * hidden, 1, 3)
            convolution(f"{block}.ffn.project_out", width, hidden, 1)

    convolution("patch_embed.proj", dim, channels, 3)
    for level in range(3):
        stage(f"encoder_level{level + 1}", blocks[level], level)
        convolution(f"down{level + 1}_{level + 2}.body.0", (dim << level) // 2, dim << level, 3)
        convolution(f"up{level + 2}_{level + 1}.body.0", dim << level + 2, dim << level + 1, 3)
        stage(f"decoder_level{level + 1}", blocks[level], max(level, 1))
    stage("latent", blocks[3], 3)
    stage("refinement", refinement, 1)
    convolution("reduce_chan_level2", 2 * dim, 4 * dim, 1)
    convolution("reduce_chan_level3", 4 * dim, 8 * dim, 1)
    convolution("output", channels, 2 * dim, 3, gain=strength)
    return tensors


class _Storages(pickle.Pickler):
    """Writes arrays as torch.save() writes tensors: the numbers go elsewhere, by their number."""

    def __init__(self, file, torch):
        super().__init__(file, protocol=2)
        self.torch, self.storages = torch, []

    def persistent_id(self, value):
        if not isinstance(value, self.torch.FloatStorage):
            return None
        self.storages.append(value.array)
        return "storage", self.torch.FloatStorage, str(len(self.storages) - 1), "cpu", value.array.size


def _pretend_torch():
    """Modules with the names that a checkpoint refers to."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    class FloatStorage:
        def __init__(self, array):
            self.array = array

    def _rebuild_tensor_v2():
        pass

    for module, thing in ((torch, FloatStorage), (utils, _rebuild_tensor_v2)):
        thing.__module__, thing.__qualname__ = module.__name__, thing.__name__
        setattr(module, thing.__name__, thing)
    torch._utils = utils
    return torch


class _Tensor:
    def __init__(self, torch, array):
        self.torch, self.array = torch, np.ascontiguousarray(array, np.float32)

    def __reduce__(self):
        shape = self.array.shape
        strides = tuple(int(np.prod(shape[axis + 1:])) for axis in range(len(shape)))
        return self.torch._utils._rebuild_tensor_v2, (self.torch.FloatStorage(self.array), 0, shape, strides, False, OrderedDict())


def write_pth(file, tensors, under="params"):
    """A checkpoint as PyTorch (1.6 and later) writes it."""
    torch = _pretend_torch()
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules |= {"torch": torch, "torch._utils": torch._utils}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(file, "w") as archive:
            with archive.open("archive/data.pkl", "w") as data:
                pickler = _Storages(data, torch)
                pickler.dump({under: OrderedDict((name, _Tensor(torch, tensor)) for name, tensor in tensors.items())})
            archive.writestr("archive/byteorder", "little")
            for index, storage in enumerate(pickler.storages):
                archive.writestr(f"archive/data/{index}", storage.tobytes())
            archive.writestr("archive/version", "3\n")
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return file
