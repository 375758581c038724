"""From MONAI's inferer and the transforms after it to tiles, output and steps of a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dicomnode.train.importing.faults import refuse
from dicomnode.train.importing.monai_config import Config
from dicomnode.train.importing.monai_transform import Transform, target

_MODULES = ("monai.inferers.",)

#: Transforms after the network that change no label.
_IDLE = frozenset({"EnsureType", "ToTensor", "CastToType", "ToDevice", "Identity", "SaveImage", "DeleteItems",
                   "SelectItems", "CopyItems", "EnsureChannelFirst", "SaveClassification"})  # fmt: skip

#: Settings of the inferer that concern speed and memory.
_UNREAD = ("sw_batch_size", "sw_device", "progress", "cache_roi_weight_map", "cpu_thresh", "buffer_steps", "buffer_dim")

_WEIGHTS = {"constant": "even", "gaussian": "gaussian"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """The sliding window.

    Attributes
    ----------
    table
        `[tile]`, in the axes of MONAI's image, the sliced axis in front where the network is two-dimensional.
    sliced
        The axis of MONAI's image across which a two-dimensional network looks at slices; None in three dimensions.
    """

    table: dict[str, Any]
    sliced: int | None


@dataclass(slots=True, kw_only=True)
class Ending:
    """What becomes of the network's numbers, in the order in which MONAI does it.

    Attributes
    ----------
    activation
        `softmax`, `sigmoid`, or nothing.
    decided
        `argmax`, `threshold`, or nothing.
    back
        What came before the way back (`Invertd`): `activation`, `decision`, both or nothing; None without one.
    remarks
        What the bundle does otherwise, in words.
    """

    activation: str = ""
    decided: str = ""
    threshold: float = 0.5
    back: tuple[str, ...] | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def tiles_of(config: Config, key: str = "inferer") -> Tiles:
    """The sliding window of a configuration.

    Raises
    ------
    ConfigError
        If the inferer is another, or asks for what a bundle cannot say.
    """
    table = config.get(key)
    if table is None:
        refuse(f"{config.where}: {key}", "", "missing; a bundle needs the tiles of a SlidingWindowInferer")
    name = target(config, table, key, _MODULES)
    if name not in ("SlidingWindowInferer", "SliceInferer"):
        refuse(
            f"{config.where}: {key}",
            name,
            "has no counterpart in a bundle, needed SlidingWindowInferer or SliceInferer",
        )
    one = Transform(
        name=name, key=f"{key} ({name})", keys=(), config=config,
        arguments={name: value for name, value in table.items() if name[:1] != "_"},
    )  # fmt: skip
    found = one.take(*_UNREAD, roi_size=None, overlap=0.25, mode="constant", sigma_scale=0.125,
                     padding_mode="constant", cval=0.0, with_coord=False, spatial_dim=0)  # fmt: skip
    for name, needed in (("sigma_scale", 0.125), ("padding_mode", "constant"), ("cval", 0), ("with_coord", False)):
        if found[name] != needed:
            one.refuse(f"{name}: {found[name]}", f"has no counterpart in a bundle, needed {needed}")
    if str(found["mode"]) not in _WEIGHTS:
        one.refuse(f"mode: {found['mode']}", f"needed {' or '.join(_WEIGHTS)}")
    flat = one.name == "SliceInferer"
    shape = found["roi_size"] if isinstance(found["roi_size"], list) else [found["roi_size"]] * (2 if flat else 3)
    if len(shape) != (2 if flat else 3) or not all(isinstance(side, int) and side > 0 for side in shape):
        one.refuse(f"roi_size: {shape}", f"needed {2 if flat else 3} counts of voxels above 0")
    overlap = found["overlap"] if isinstance(found["overlap"], list) and found["overlap"] else [found["overlap"]]
    if any(not isinstance(share, int | float) or share != overlap[0] or not 0 <= share < 1 for share in overlap):
        one.refuse(f"overlap: {overlap}", "needed one share below 1 for all axes")
    table = {
        "shape": [1, *shape] if flat else shape,
        "overlap": float(overlap[0]),
        "batch": "auto",
        "manner": "monai",
        "weights": _WEIGHTS[found["mode"]],
    }
    return Tiles(table=table, sliced=found["spatial_dim"] if flat else None)


def ending_of(transforms: Sequence[Transform], labels: int) -> Ending:
    """What the transforms after the network do.

    Parameters
    ----------
    labels
        Segments, for steps that treat all of them.

    Raises
    ------
    ConfigError
        Naming a transform or a setting that has no counterpart.
    """
    ending = Ending()
    for one in transforms:
        match one.name:
            case "Activations":
                _activate(one, ending)
            case "AsDiscrete":
                _decide(one, ending)
            case "Invert":
                _invert(one, ending)
            case "KeepLargestConnectedComponent":
                _keep_largest(one, ending, labels)
            case name if name in _IDLE:
                continue
            case name:
                one.refuse(name, "this transform after the network has no counterpart in a bundle")
    return ending


def output_table(ending: Ending) -> dict[str, Any]:
    """`[output]`: MONAI averages what the network says, and makes probabilities of it afterwards."""
    if ending.decided == "threshold" and not ending.activation:
        return {"activation": "none"}
    table = {"activation": ending.activation or "softmax", "blend": "logits"}
    if ending.back is not None and "activation" not in ending.back:
        return table
    # Without a way back of its own the bundle's interpolates probabilities, too, as most do.
    return {**table, "back": "probabilities"} if ending.activation else table


def post_steps(ending: Ending, labels: int) -> list[dict[str, Any]]:
    """`[[post]]`: the decision in front."""
    first = [{"step": "threshold", "threshold": [ending.threshold] * labels}] if ending.decided == "threshold" else []
    return [*first, *ending.steps]


def _activate(one: Transform, ending: Ending) -> None:
    found = one.take(sigmoid=False, softmax=False, other=None)
    asked = [name for name in ("sigmoid", "softmax") if found[name] is True or found[name] == [True]]
    if found["other"] is not None or len(asked) != 1 or ending.activation or ending.decided:
        one.refuse(", ".join(asked) or "none", "needed softmax or sigmoid, once and before the decision")
    ending.activation = asked[0]


def _decide(one: Transform, ending: Ending) -> None:
    found = one.take(argmax=False, to_onehot=None, threshold=None, rounding=None, dim=0, keepdim=True)
    argmax, threshold = (value[0] if isinstance(value, list) and len(value) == 1 else value
                         for value in (found["argmax"], found["threshold"]))  # fmt: skip
    if found["rounding"] is not None or found["dim"] != 0 or (argmax is True) == (threshold is not None):
        one.refuse("argmax, threshold", "needed one of both, over channels")
    if threshold is not None and not (isinstance(threshold, int | float) and 0 < threshold < 1):
        one.refuse(f"threshold: {threshold}", "needed a probability between 0 and 1")
    if ending.decided:
        return
    ending.decided = "argmax" if argmax is True else "threshold"
    if threshold is not None:
        ending.threshold = float(threshold)


def _invert(one: Transform, ending: Ending) -> None:
    found = one.take("transform", "orig_keys", "orig_meta_keys", "to_tensor", nearest_interp=True, post_func=None)
    if found["post_func"] is not None:
        one.refuse("post_func", "is a function, and an import runs no code; leave it out")
    done = [name for name, value in (("activation", ending.activation), ("decision", ending.decided)) if value]
    ending.back = tuple(done)
    nearest = found["nearest_interp"]
    if nearest is True or nearest == [True] or "decision" in done:
        what = "labels" if "decision" in done else "probabilities"
        ending.remarks.append(
            f"MONAI brings {what} back to the source by the nearest voxel; the bundle interpolates and decides last, "
            "so that edges differ by up to half a voxel of the network's grid"
        )


def _keep_largest(one: Transform, ending: Ending, labels: int) -> None:
    found = one.take(applied_labels=None, is_onehot=None, independent=True, connectivity=None, num_components=1)
    applied = found["applied_labels"]
    numbers = applied if isinstance(applied, list) else [] if applied is None else [applied]
    if not all(isinstance(number, int) and 1 <= number <= labels for number in numbers):
        one.refuse(f"applied_labels: {numbers}", f"needed some of 1 to {labels}")
    if not found["independent"] and len(numbers or range(labels)) > 1:
        one.refuse("independent: false", "pieces of several labels together have no counterpart in a bundle")
    if found["connectivity"] not in (None, 1, 3):
        one.refuse(f"connectivity: {found['connectivity']}", "needed 1 (faces) or 3 (corners, too)")
    if not isinstance(found["num_components"], int) or found["num_components"] < 1:
        one.refuse(f"num_components: {found['num_components']}", "needed a count")
    ending.steps.append(
        {
            "step": "keep_largest",
            "segments": numbers,
            "pieces": found["num_components"],
            "touching": "faces" if found["connectivity"] == 1 else "corners",
        }
    )
    if ending.back is None or not ending.decided:
        ending.remarks.append("the largest pieces are sought on the source's grid, after the way back")
