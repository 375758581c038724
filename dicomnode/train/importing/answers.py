"""What a network does not tell: answers as tables of model.toml with gaps, and how the gaps are filled."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dicomnode.train.importing.codes import Coded, codes_of
from dicomnode.train.importing.faults import refuse
from dicomnode.train.importing.nnunet_bundle import segment_tables
from dicomnode.train.importing.nnunet_labels import Labels
from dicomnode.train.importing.onnx_graph import Graph, Value

#: Axes of an image: batch, channel, slice, row, column; without slices in two dimensions.
_AXES, _PLANE_AXES = 5, 4

#: Tables of answers that are read here; the rest is for the bundle's own check.
_TABLES = ("model", "input", "tile", "network", "output")

#: Tasks that one output answers.
TASKS = ("segment", "classify", "score")


def read_answers(path: Path) -> dict[str, Any]:
    """A file of answers.

    Raises
    ------
    ConfigError
        If it cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        refuse("--answers", str(path), f"cannot be read ({error.strerror}); needed a file in TOML")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        refuse("--answers", str(path), f"not TOML in UTF-8 ({error})")


def image_of(graph: Graph, named: str = "") -> Value:
    """The input that takes the image.

    Raises
    ------
    ConfigError
        If there is none, or more than one.
    """
    found = [one for one in graph.inputs if len(one.shape) in (_AXES, _PLANE_AXES) and named in ("", one.name)]
    if len(found) != 1:
        told = ", ".join(f"{one.name} {_axes(one)}" for one in graph.inputs) or "none"
        refuse("network.input", named or told, "needed one input with axes batch, channel, (slice,) row, column")
    return found[0]


def tile_of(image: Value) -> tuple[int, ...] | None:
    """The tile that a network takes, or None where it leaves a length open."""
    sides = image.shape[2:]
    shape = (1, *sides) if len(image.shape) == _PLANE_AXES else sides
    return None if None in shape else tuple(int(side or 0) for side in shape)


def completed(
    answers: Mapping[str, Any], graph: Graph, *, name: str, source: str, licence: str, own: Mapping[str, Coded]
) -> dict[str, Any]:
    """The tables of model.toml without the hash of the network.

    Parameters
    ----------
    answers
        Tables of model.toml; what the graph tells, and what has a default, may be left out.
    own
        Codes of labels by label.

    Raises
    ------
    ConfigError
        If something is missing that nobody can guess, or contradicts the graph.
    """
    asked: dict[str, Any] = {**answers}
    for key in _TABLES:
        if not isinstance(asked.get(key, {}), Mapping):
            refuse(key, str(asked[key])[:80], f"needed a table: write [{key}]")
    stated = asked.pop("model", {})
    network = dict(asked.pop("network", {}))
    image = image_of(graph, str(network.get("input", "")))
    output = _output(graph, str(network.get("output", "")))
    task = stated.get("task") or ("segment" if len(output.shape) == len(image.shape) else "")
    if task not in TASKS:
        refuse("model.task", task, f"needed one of {', '.join(TASKS)} for an output of axes {_axes(output)}")
    if not asked.get("input"):
        refuse("input", "", 'missing; write a table for every series, such as [input.ct] with Modality = "CT"')
    model = {
        "name": name, "version": "1.0.0", "title": name, "status": "research", "task": task,
        "manufacturer": f"imported from {source}", "licence": licence or "not stated", **stated,
    }  # fmt: skip
    if stated.get("name", name) != name:
        refuse("model.name", stated["name"], f"leave it out; --name says {name}")
    tables = {
        "model": model,
        "input": asked.pop("input"),
        "prepare": asked.pop("prepare", []),
        "tile": _tile(asked.pop("tile", {}), image),
        "network": {**network, "input": image.name, "output": output.name},
        "output": {"activation": "softmax", **asked.pop("output", {})},
        **asked,
    }
    if task == "segment":
        tables["segment"] = _segments(asked.get("segment"), own)
    return {key: value for key, value in tables.items() if value}


def _output(graph: Graph, named: str) -> Value:
    found = [one for one in graph.outputs if named in ("", one.name)]
    if len(found) != 1:
        told = ", ".join(one.name for one in graph.outputs)
        refuse("network.output", named or told, "needed the name of one output: write [network] with output")
    return found[0]


def _tile(stated: Mapping[str, Any], image: Value) -> dict[str, Any]:
    fixed = tile_of(image)
    if not isinstance(stated.get("shape", []), list):
        refuse("tile.shape", stated["shape"], "needed voxels along slice, row and column, such as [96, 96, 96]")
    if fixed is None and "shape" not in stated:
        refuse("tile.shape", _axes(image), "the network leaves it open; write voxels along slice, row and column")
    if fixed is not None and [*stated.get("shape", fixed)] != [*fixed]:
        refuse("tile.shape", stated["shape"], f"the network takes {[*fixed]} and no other")
    return {"shape": [*(fixed or ())], "overlap": 0.25, "batch": "auto", **stated}


def _segments(rows: Any, own: Mapping[str, Coded]) -> list[dict[str, Any]]:
    if not isinstance(rows, list) or not rows or not all(map(_labelled, rows)):
        refuse("segment", rows, 'missing; write [[segment]] with label = "…" for every channel behind the background')
    bare = [str(row["label"]) for row in rows if "type" not in row]
    known = dict(zip(bare, codes_of(bare, own), strict=True))
    found = []
    for number, row in enumerate(rows, start=1):
        filled: dict[str, Any] = {"number": number}
        if row["label"] in known:
            labels = Labels(names=(row["label"],), holds=((1,),), regions=False)
            filled = segment_tables(labels, [known[row["label"]]])[0] | filled
        found.append({**filled, **row})
    return found


def _labelled(row: Any) -> bool:
    return isinstance(row, Mapping) and isinstance(row.get("label"), str)


def _axes(value: Value) -> Sequence[int | str]:
    return ["?" if length is None else length for length in value.shape]
