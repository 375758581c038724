"""The short interview on the terminal about a network that does not tell how it was trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dicomnode.train.importing.answers import image_of, tile_of
from dicomnode.train.importing.nnunet_bundle import input_names
from dicomnode.train.importing.onnx_graph import Graph

#: Puts a question with a default, and gives the answer.
Ask = Callable[[str, str], str]

T = TypeVar("T")

_NORMALISATIONS = (
    "none", "minmax", "zscore", "zscore nonzero", "range LOW HIGH", "percentiles LOW HIGH",
)  # fmt: skip


def interview(graph: Graph | None, ask: Ask, say: Callable[[str], None]) -> dict[str, Any]:
    """Answers as tables of model.toml.

    Parameters
    ----------
    graph
        The network, whose open lengths are asked for; None where it is not known before its tile is.
    say
        Told why an answer will not do, before the question comes again.
    """

    def question(text: str, default: str, parse: Callable[[str], T]) -> T:
        while True:
            try:
                return parse(ask(text, default).strip())
            except ValueError as error:
                say(str(error))

    tables: dict[str, Any] = {}
    labels = question("What do the channels behind the background mean? Labels with commas between", "", _words)
    modalities = question("DICOM Modality of every input channel, with commas between", "CT", _words)
    names = input_names([one.lower() for one in modalities])
    tables["input"] = {name: {"Modality": one.upper()} for name, one in zip(names, modalities, strict=True)}
    orientation = question(
        "How training images lay: growing slice, row and column, such as HPL (axial), RAS, or source", "HPL", _letters
    )
    spacing = question("Spacing in mm along these axes, or keep", "keep", _spacing)
    normalisation = question(f"Normalisation: {', '.join(_NORMALISATIONS)}", "none", _normalisation)
    tables["prepare"] = [
        *([{"step": "align", "inputs": [*names[1:]]}] if len(names) > 1 else []),
        *([{"step": "reorient", "orientation": orientation}] if orientation else []),
        *([{"step": "resample", "spacing_mm": spacing, "axes": "source"}] if spacing else []),
        *normalisation,
    ]
    fixed = None if graph is None else tile_of(image_of(graph))
    shape = [*fixed] if fixed else question("Tile in voxels along slice, row and column", "", _shape)
    overlap = question("Least overlap of tiles as a share", "0.25", _share)
    tables["tile"] = {"shape": shape, "overlap": overlap}
    activation = question("What makes probabilities of the output: softmax, sigmoid or none", "softmax", _activation)
    tables["output"] = {"activation": activation}
    tables["segment"] = [{"label": label} for label in labels]
    return tables


def _words(text: str) -> list[str]:
    found = [word.strip() for word in text.split(",") if word.strip()]
    if not found:
        raise ValueError("needed one at least")
    return found


def _letters(text: str) -> str:
    if text.lower() == "source":
        return ""
    axes = [next((pair for pair in ("LR", "PA", "HFSI") if letter in pair), "") for letter in text.upper()]
    if sorted(axes) != ["HFSI", "LR", "PA"]:
        raise ValueError("needed three letters, one each of L R, P A, and H F (or S I)")
    return text.upper()


def _spacing(text: str) -> list[float]:
    return [] if text.lower() in ("", "keep") else _numbers(text.split(), 3, least=0.0)


def _shape(text: str) -> list[int]:
    try:
        found = [int(word) for word in text.replace(",", " ").replace("x", " ").split()]
    except ValueError:
        found = []
    if len(found) != 3 or min(found) < 1:
        raise ValueError("needed three counts of voxels, such as 96 96 96, or 1 256 256 in two dimensions")
    return found


def _share(text: str) -> float:
    (found,) = _numbers([text], 1)
    if not 0 <= found < 1:
        raise ValueError("needed a share from 0 to below 1")
    return found


def _activation(text: str) -> str:
    if text not in ("softmax", "sigmoid", "none"):
        raise ValueError("needed softmax, sigmoid or none")
    return text


def _normalisation(text: str) -> list[dict[str, Any]]:
    match text.lower().replace(",", " ").split():
        case ["none"] | []:
            return []
        case ["minmax"]:
            return [{"step": "minmax"}]
        case ["zscore"]:
            return [{"step": "zscore"}]
        case ["zscore", "nonzero"]:
            return [{"step": "zscore", "over": "foreground", "outside": 0.0}]
        case ["range", *ends]:
            low, high = _rising(ends)
            return [{"step": "clip", "range": [low, high]}, {"step": "scale", "range": [low, high]}]
        case ["percentiles", *ends]:
            return [{"step": "clip_percentiles", "percentiles": _rising(ends)}, {"step": "minmax"}]
        case _:
            raise ValueError(f"needed one of {', '.join(_NORMALISATIONS)}")


def _rising(words: Sequence[str]) -> list[float]:
    low, high = _numbers(words, 2)
    if not low < high:
        raise ValueError("needed the lower number first")
    return [low, high]


def _numbers(words: Sequence[str], count: int, least: float | None = None) -> list[float]:
    try:
        found = [float(word) for word in words]
    except ValueError:
        found = []
    if len(found) != count or (least is not None and min(found) <= least):
        raise ValueError(f"needed {count} number{'s' * (count > 1)}{' above 0' * (least is not None)}")
    return found
