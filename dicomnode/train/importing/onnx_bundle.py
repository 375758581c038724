"""Imports any ONNX or TorchScript file by answers to what it does not tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from dicomnode.domain.model import ModelSpec
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions
from dicomnode.train.importing.answers import completed, image_of, read_answers, tile_of
from dicomnode.train.importing.cards import Told, card
from dicomnode.train.importing.codes import Coded, read_codes
from dicomnode.train.importing.compare import compare, phantom, run_through
from dicomnode.train.importing.faults import refuse
from dicomnode.train.importing.interview import Ask, interview
from dicomnode.train.importing.onnx_graph import Graph, read_graph
from dicomnode.train.importing.written import new_bundle, sha256_of, write_model_toml

Floats = npt.NDArray[np.float32]

#: Where a network takes any length, so many voxels along an axis show whether two runtimes agree.
_COMPARED = 64

#: A tile of more voxels takes minutes on a processor: such a bundle is not run on a phantom.
_MOST_VOXELS = 128**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the file does not tell.

    Attributes
    ----------
    answers
        A file of answers (`answers.completed`); an interview where it is None.
    codes
        A table of codes (`codes.read_codes`).
    allow_torchscript
        Whether a TorchScript file may be run.
    """

    name: str
    models: Path
    answers: Path | None = None
    codes: Path | None = None
    licence: str = ""
    allow_torchscript: bool = False


def import_onnx(source: Path, options: Options, ask: Ask, say: Callable[[str], None]) -> Path:
    """Make the bundle `options.models/options.name` of an ONNX file; nothing stays of one that fails.

    Raises
    ------
    ConfigError
        If the file is not what it should be, or the answers do not fit it.
    ModelError
        If onnxruntime cannot run it.
    """
    graph = read_graph(source)
    answers = read_answers(options.answers) if options.answers is not None else interview(graph, ask, say)
    own = _own(options)
    # Before anything is written, so that faults of the answers come first.
    tables = completed(answers, graph, name=options.name, source="ONNX", licence=options.licence, own=own)
    with new_bundle(options.models, options.name) as draft:
        (draft / "model.onnx").write_bytes(graph.content)
        runtime = _runtime(graph, source)
        _finish(draft, tables, runtime, "onnxruntime on the source and on the bundle", "onnx", say)
    return _done(options, say)


def import_torchscript(source: Path, options: Options, ask: Ask, say: Callable[[str], None]) -> Path:
    """Make the bundle `options.models/options.name` of a TorchScript file, which is run for that; as `import_onnx`.

    Raises
    ------
    ConfigError
        As `import_onnx`; also if nobody allowed the file to run.
    ModelError
        If it cannot be written as ONNX, or the two answer differently.
    """
    from dicomnode.train.importing.export import export
    from dicomnode.train.importing.script import load_script
    from dicomnode.train.importing.trial import answering, tried

    network = load_script(source, allowed=options.allow_torchscript)
    answers = read_answers(options.answers) if options.answers is not None else interview(None, ask, say)
    shape, channels = _shape(answers), len(answers.get("input", {})) or 1
    flat = shape[0] == 1
    tried(network, channels, shape)
    with new_bundle(options.models, options.name) as draft:
        export(network, draft / "model.onnx", channels, shape[1:] if flat else shape)
        graph = read_graph(draft / "model.onnx")
        tables = completed(
            answers, graph, name=options.name, source="TorchScript", licence=options.licence, own=_own(options)
        )
        runtime = answering(network, flat=flat)
        _finish(draft, tables, runtime, "PyTorch and onnxruntime", "torchscript", say)
    return _done(options, say)


def _finish(
    draft: Path,
    tables: Mapping[str, Any],
    runtime: Callable[[Floats], Floats],
    runtimes: str,
    verb: str,
    say: Callable[[str], None],
) -> None:
    model = {**tables["model"], "onnx": "model.onnx", "sha256": sha256_of(draft / "model.onnx")}
    source = "TorchScript" if verb == "torchscript" else "ONNX"
    remark = f"Imported from {source}; CARD.md tells what is known of the model and what is missing."
    write_model_toml(draft, {**tables, "model": model}, remark)
    spec, sessions = load_bundle(draft), Sessions(device="cpu")
    difference = compare(runtime, _smaller(spec, draft), spec.weights[0], sessions)
    say(f"{runtimes} on the same input: {difference}")
    slices, rows, columns = spec.tile.shape
    if slices * rows * columns <= _MOST_VOXELS:
        hounsfield = any("CT" in str(table) for table in tables["input"].values())
        found = run_through(spec, sessions, phantom((24, 48, 48), (6.0, 8.0, 8.0), hounsfield=hounsfield))
        say(f"the whole bundle ran on a phantom and found there: {', '.join(found) or 'nothing'}")
    else:
        say(f"tiles of {slices} × {rows} × {columns} voxels: too large to run the whole bundle on a phantom here")
    licence = str(model["licence"])
    made = Told(
        name=spec.name,
        source=f"a {'TorchScript' if verb == 'torchscript' else 'ONNX'} file",
        verb=verb,
        labels=[one.label for one in spec.segments or spec.classes] or [one.name.meaning for one in spec.scores],
        told={"Licence": "" if licence == "not stated" else licence},
        difference=difference,
        runtime=runtimes,
    )
    (draft / "CARD.md").write_text(card(made), encoding="utf-8")


def _smaller(spec: ModelSpec, draft: Path) -> ModelSpec:
    """The model with a smaller tile where its network takes any length."""
    if tile_of(image_of(read_graph(draft / "model.onnx"), spec.network.input)) is not None:
        return spec
    slices, rows, columns = (min(side, _COMPARED) for side in spec.tile.shape)
    return replace(spec, tile=replace(spec.tile, shape=(slices, rows, columns)))


def _runtime(graph: Graph, source: Path) -> Callable[[Floats], Floats]:
    """The source's file as it lies there, in its own session."""

    def answer(tiles: Floats) -> Floats:
        image = image_of(graph)
        flat = len(image.shape) == 4
        session = onnxruntime.InferenceSession(str(source), providers=["CPUExecutionProvider"])
        kind = session.get_inputs()[0].type
        fed = (tiles[:, :, 0] if flat else tiles).astype(np.float16 if kind == "tensor(float16)" else np.float32)
        found: Floats = session.run([graph.outputs[0].name], {image.name: fed})[0].astype(np.float32)
        return found[:, :, None] if flat and found.ndim == 4 else found

    return answer


def _shape(answers: Mapping[str, Any]) -> Sequence[int]:
    tile = answers.get("tile")
    shape = tile.get("shape") if isinstance(tile, Mapping) else None
    if not isinstance(shape, list) or len(shape) != 3 or not all(isinstance(side, int) and side > 0 for side in shape):
        refuse("tile.shape", shape, "TorchScript does not tell it; write voxels along slice, row and column")
    return shape


def _own(options: Options) -> dict[str, Coded]:
    return read_codes(options.codes) if options.codes is not None else {}


def _done(options: Options, say: Callable[[str], None]) -> Path:
    target = options.models / options.name
    say(f"{target} is a bundle now; its card names what is missing before anybody may rely on it")
    return target
