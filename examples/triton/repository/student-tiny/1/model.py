"""Runs model.onnx beside this file for Triton's Python backend."""

import os
from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))  # 0: one a core
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        # Tensors of one size that arrived together go through the network as one.
        inputs = [triton.get_input_tensor_by_name(request, "input").as_numpy() for request in requests]
        if len({tensor.shape[1:] for tensor in inputs}) == 1:
            outputs = np.split(self.restore(np.concatenate(inputs)), np.cumsum([len(tensor) for tensor in inputs])[:-1])
        else:
            outputs = [self.restore(tensor) for tensor in inputs]
        return [triton.InferenceResponse([triton.Tensor("output", output)]) for output in outputs]

    def restore(self, tensor):
        return self.session.run(["output"], {"input": tensor})[0]
