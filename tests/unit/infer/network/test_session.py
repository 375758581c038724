"""Sessions: loaded once, only when verified and fitting, and nothing of onnxruntime escapes."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as state

from dicomnode.domain.errors import ConfigError, ModelError
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.network import device
from dicomnode.infer.network.ensemble import Ensemble
from dicomnode.infer.network.runtime import RUNTIME_ERRORS, mapped
from dicomnode.infer.network.session import Sessions

Make = Callable[..., ModelSpec]
Network = Callable[..., bytes]

RUNTIME_CLASSES = [
    found for found in vars(state).values() if isinstance(found, type) and issubclass(found, BaseException)
]


def test_onnxruntime_has_errors_to_walk() -> None:
    assert len(RUNTIME_CLASSES) > 10


@pytest.mark.parametrize("error", RUNTIME_CLASSES, ids=lambda error: error.__name__)
def test_every_error_of_onnxruntime_becomes_a_model_error(error: type[BaseException], bundle: Make) -> None:
    with pytest.raises(ModelError, match="model toy: onnxruntime says it broke"), mapped(bundle()):
        raise error("it  broke")
    assert error in RUNTIME_ERRORS


def test_a_network_is_loaded_once_and_shared(bundle: Make, network: Network) -> None:
    sessions = Sessions(threads=1)
    spec = bundle(network())
    again = bundle(network(), name="twin")
    assert sessions.get(spec) is sessions.get(again)
    with ThreadPoolExecutor(4) as pool:
        assert len({id(session) for session in pool.map(sessions.get, [spec] * 8)}) == 1


def test_a_network_that_was_replaced_is_forgotten_and_one_that_another_bundle_names_is_not(
    bundle: Make, network: Network
) -> None:
    sessions = Sessions(threads=1)
    first = sessions.get(bundle(network()))
    other = bundle(network((0.0, 9.0, 9.0)), name="other")
    kept = sessions.get(other)
    replaced = weakref.ref(first)
    sessions.get(bundle(network((0.0, 1.0, 2.0))))
    del first
    gc.collect()
    assert replaced() is None
    assert sessions.get(other) is kept


def test_the_hash_is_checked_before_the_first_load(bundle: Make, network: Network) -> None:
    spec = bundle(network())
    (spec.folder / "model.onnx").write_bytes(network((0.0, 1.0, 2.0)))
    with pytest.raises(ModelError, match="has SHA-256"):
        Sessions().get(spec)


def test_bytes_that_are_no_network_are_a_model_error(bundle: Make) -> None:
    with pytest.raises(ModelError, match="needed an ONNX model"):
        Sessions().get(bundle(b"not a network"))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"inputs": ("picture",)}, "has picture, needed image alone"),
        ({"inputs": ("image", "prior")}, "has image, prior, needed image alone"),
        ({"output": "labels"}, "has labels, needed logits"),
        ({"weights": (1.0, 2.0), "bias": (0.0, 0.0)}, "logits has channel 2, needed 3 for a background and 2 segments"),
        ({"tile": (8, 16, 32)}, "image has column 32, needed 16"),
        ({"batch": 2}, "image has batch 2, needed 1 as model"),
    ],
)
def test_a_network_that_does_not_fit_its_description_is_refused(
    bundle: Make, network: Network, made: dict[str, object], said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        Sessions().get(bundle(network(**made)))


def test_names_that_a_foreign_network_gives_its_values_are_declared(bundle: Make, network: Network) -> None:
    spec = bundle(
        network(inputs=("x.1",), output="out"),
        edit=lambda text: text + '[network]\ninput = "x.1"\noutput = "out"\n',
    )
    assert [value.name for value in Sessions().load(spec, spec.weights[0]).get_inputs()] == ["x.1"]


def test_the_fit_is_checked_for_every_bundle_that_shares_a_network(bundle: Make, network: Network) -> None:
    sessions = Sessions()
    content = network(tile=(8, 16, 16))
    sessions.get(bundle(content))
    with pytest.raises(ModelError, match="image has slice 8, needed 4"):
        sessions.get(bundle(content, name="other", tile=(4, 16, 16)))


def test_a_network_with_another_rank_or_type_is_refused(bundle: Make) -> None:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper

    def identity(kind: int, shape: list[object]) -> bytes:
        values = [helper.make_tensor_value_info(name, kind, shape) for name in ("image", "logits")]
        graph = helper.make_graph([helper.make_node("Identity", ["image"], ["logits"])], "same", values[:1], values[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        content: bytes = model.SerializeToString()
        return content

    with pytest.raises(ModelError, match="image has 4 axes, needed 5"):
        Sessions().get(bundle(identity(onnx.TensorProto.FLOAT, ["b", 1, "r", "c"])))
    with pytest.raises(ModelError, match=r"image is tensor\(double\), needed tensor\(float\)"):
        Sessions().get(bundle(identity(onnx.TensorProto.DOUBLE, ["b", 1, "s", "r", "c"])))


def test_logits_that_are_not_finite_are_a_model_error(bundle: Make, network: Network) -> None:
    spec = bundle(network(weights=(0.0, np.inf, 0.0)))
    with pytest.raises(ModelError, match="not finite"):
        Ensemble(spec, Sessions()).run(spec.weights[0], np.ones((1, 1, 8, 16, 16), dtype=np.float32))


def test_tiles_that_the_network_refuses_are_a_model_error(bundle: Make, network: Network) -> None:
    spec = bundle(network(tile=(8, 16, 16)))
    with pytest.raises(ModelError, match="onnxruntime says"):
        Ensemble(spec, Sessions()).run(spec.weights[0], np.ones((1, 1, 8, 16, 17), dtype=np.float32))


def test_an_answer_of_another_shape_than_declared_is_a_model_error(bundle: Make, network: Network) -> None:
    spec = bundle(network())
    with pytest.raises(ModelError, match=r"logits of shape \(1, 3, 8, 16, 17\), needed \(1, 3, 8, 16, 16\)"):
        Ensemble(spec, Sessions()).run(spec.weights[0], np.ones((1, 1, 8, 16, 17), dtype=np.float32))


def test_a_device_that_does_not_exist_is_a_fault_with_a_remedy() -> None:
    with pytest.raises(ConfigError, match="device = 'gpu': write one of auto, cpu, cuda, tensorrt"):
        Sessions(device="gpu")


@pytest.mark.parametrize("asked", ["cuda", "tensorrt"])
def test_a_card_that_was_asked_for_and_is_not_there_is_told(
    asked: str, bundle: Make, network: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(device, "NVIDIA", tmp_path / "nvidiactl")
    sessions = Sessions(device=asked)
    assert sessions.on_cpu
    told = Ensemble(bundle(network()), sessions).warnings
    assert told == (f"computed on the CPU: {asked} was asked for, but no graphics card is visible to its driver",)
    assert Ensemble(bundle(network()), Sessions(device="auto")).warnings == ()


def test_a_runtime_without_the_provider_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr(device, "NVIDIA", tmp_path / "nvidiactl")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [device.CPU])
    assert "has no CUDAExecutionProvider" in Sessions(device="cuda").lacking
    assert Sessions(device="auto").lacking == ""
