"""A graph in 16-bit floats keeps its inputs, its outputs and, nearly, its scores."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from scanner.training.halve import halve


def graph_of(weights: np.ndarray) -> onnx.ModelProto:
    """clips uint8 [N, 8] → float → times weights (8, 1) → clip_logit float32 [N, 1]."""
    nodes = [
        helper.make_node("Cast", ["clips"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["floats", "weights"], ["clip_logit"]),
    ]
    graph = helper.make_graph(
        nodes,
        "scores",
        [helper.make_tensor_value_info("clips", TensorProto.UINT8, ["n", 8])],
        [helper.make_tensor_value_info("clip_logit", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(weights, "weights")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def test_a_halved_graph_takes_bytes_gives_floats_and_scores_nearly_alike(tmp_path) -> None:
    rng = np.random.default_rng(0)
    onnx.save(graph_of(rng.normal(0, 0.01, (8, 1)).astype(np.float32)), str(tmp_path / "floats.onnx"))
    halve(tmp_path / "floats.onnx", tmp_path / "halves.onnx")
    (weights,) = onnx.load(str(tmp_path / "halves.onnx")).graph.initializer
    assert weights.data_type == TensorProto.FLOAT16
    clips = rng.integers(0, 256, (5, 8), np.uint8)
    scores = {}
    for name in ("floats", "halves"):
        session = ort.InferenceSession(tmp_path / f"{name}.onnx", providers=["CPUExecutionProvider"])
        assert session.get_inputs()[0].type == "tensor(uint8)"
        assert session.get_outputs()[0].type == "tensor(float)"
        (scores[name],) = session.run(None, {"clips": clips})
    np.testing.assert_allclose(scores["halves"], scores["floats"], atol=0.02)
    assert not np.array_equal(scores["halves"], scores["floats"])
