#!/usr/bin/env python3
"""Writes the shipped network "student-tiny" as ONNX, for model servers. Needs `onnx` and `numpy`, no PyTorch.

    python3 export.py ../../models/student-tiny.safetensors repository/student-tiny/1/model.onnx

The layers are those of training/network.py. The exported network takes and gives [N, 3, H, W] in [0, 1], N free, H and W
multiples of 8.
"""

import argparse
import json
import struct

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NORM_EPSILON = 1e-6
OPSET = 18  # LayerNormalization came with 17, Split by number of outputs with 18


def read_safetensors(path):
    """{name: array} and the file's metadata. (The package `safetensors` does the same; the format is this small.)"""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, about in header.items():
        begin, end = about["data_offsets"]
        stored = np.frombuffer(data[begin:end], {"F16": "<f2", "F32": "<f4"}[about["dtype"]])
        tensors[name] = stored.reshape(about["shape"]).astype(np.float32)
    return tensors, metadata


class Graph:
    """Collects nodes and weights; every method adds one operation and returns the name of its result."""

    def __init__(self, tensors):
        self.tensors, self.nodes, self.weights, self.used = tensors, [], {}, set()

    def constant(self, name, array):
        self.weights.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def weight(self, name):
        self.used.add(name)
        return self.constant(name, self.tensors[name])

    def add(self, kind, inputs, outputs=1, **attributes):
        names = [f"{kind.lower()}_{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def conv(self, x, name, **attributes):
        inputs = [x, self.weight(f"{name}.weight")]
        if f"{name}.bias" in self.tensors:
            inputs.append(self.weight(f"{name}.bias"))
        return self.add("Conv", inputs, **attributes)

    def unshuffle(self, x, channels):
        """Each 2x2 square of a channel becomes four channels, in the order of torch's pixel_unshuffle: a convolution that picks."""
        pick = np.zeros((4 * channels, channels, 2, 2), np.float32)
        for channel in range(channels):
            for place in range(4):
                pick[4 * channel + place, channel, place // 2, place % 2] = 1
        return self.add("Conv", [x, self.constant("unshuffle", pick)], strides=[2, 2])

    def shuffle(self, x):
        return self.add("DepthToSpace", [x], blocksize=2, mode="CRD")

    def norm(self, x, name):
        """Over the channels of each pixel."""
        x = self.add("Transpose", [x], perm=[0, 2, 3, 1])
        inputs = [x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]
        x = self.add("LayerNormalization", inputs, axis=-1, epsilon=NORM_EPSILON)
        return self.add("Transpose", [x], perm=[0, 3, 1, 2])

    def gate(self, x):
        return self.add("Mul", self.add("Split", [x], 2, axis=1, num_outputs=2))

    def block(self, x, name):
        """A depthwise step and a per-pixel step; each is scaled and added to what went in."""
        channels = self.tensors[f"{name}.conv2.weight"].shape[0]
        y = self.conv(self.norm(x, f"{name}.norm1"), f"{name}.conv1")
        y = self.gate(self.conv(y, f"{name}.conv2", pads=[1, 1, 1, 1], group=channels))
        y = self.add("Mul", [self.conv(y, f"{name}.conv3"), self.weight(f"{name}.beta")])
        x = self.add("Add", [x, y])
        y = self.gate(self.conv(self.norm(x, f"{name}.norm2"), f"{name}.conv4"))
        y = self.add("Mul", [self.conv(y, f"{name}.conv5"), self.weight(f"{name}.gamma")])
        return self.add("Add", [x, y])

    def blocks(self, x, name):
        index = 0
        while f"{name}.{index}.conv1.weight" in self.tensors:
            x = self.block(x, f"{name}.{index}")
            index += 1
        return x


def student_tiny(tensors):
    graph = Graph(tensors)
    level1 = graph.blocks(graph.conv(graph.unshuffle("input", 3), "intro", pads=[1, 1, 1, 1]), "encoder1")
    level2 = graph.blocks(graph.conv(level1, "down1", strides=[2, 2]), "encoder2")
    x = graph.blocks(graph.conv(level2, "down2", strides=[2, 2]), "middle")
    x = graph.blocks(graph.add("Add", [graph.shuffle(graph.conv(x, "up2")), level2]), "decoder2")
    x = graph.blocks(graph.add("Add", [graph.shuffle(graph.conv(x, "up1")), level1]), "decoder1")
    x = graph.shuffle(graph.conv(x, "ending", pads=[1, 1, 1, 1]))
    graph.nodes.append(helper.make_node("Add", ["input", x], ["output"]))
    unused = tensors.keys() - graph.used
    assert not unused, f"tensors that the network has no place for: {sorted(unused)}"
    return graph


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("output")
    arguments = parser.parse_args()
    tensors, metadata = read_safetensors(arguments.weights)
    graph = student_tiny(tensors)
    shape = ["n", 3, "height", "width"]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "student-tiny", [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
                          [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)], list(graph.weights.values())),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    onnx.save(model, arguments.output)


if __name__ == "__main__":
    main()
