"""From MONAI's transforms before the network to steps of a bundle, in MONAI's order of axes: column, row, slice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from dicomnode.train.importing.monai_transform import Transform

Steps = Iterator[dict[str, Any]]

#: Transforms that leave values and voxels as they are.
_IDLE = frozenset({"EnsureChannelFirst", "AddChannel", "EnsureType", "ToTensor", "CastToType", "ToDevice", "Identity",
                   "SelectItems", "DeleteItems", "FlattenSubKeys", "CopyItems", "Contiguous"})  # fmt: skip

#: Readers that give the axes (column, row, slice) of a series.
_READERS = (None, "ITKReader", "NibabelReader", "PydicomReader", "NrrdReader", "itkreader", "nibabelreader")

#: Settings of the loader that change no value.
_LOADING = ("image_only", "ensure_channel_first", "simple_keys", "prune_meta_pattern", "prune_meta_sep", "overwriting",
            "expanduser")  # fmt: skip

#: MONAI's names of interpolations.
_MODES = MappingProxyType({"bilinear": "linear", "trilinear": "linear", "linear": "linear", "nearest": "nearest"})

#: From (slice, row, column) to MONAI's (column, row, slice), and back.
REVERSED = (2, 1, 0)


def prepare_steps(transforms: Sequence[Transform], inputs: Sequence[str]) -> list[dict[str, Any]]:
    """The steps of a bundle.

    Parameters
    ----------
    inputs
        Names of the series, each of which is a channel of MONAI's image.

    Raises
    ------
    ConfigError
        Naming a transform or a setting that has no counterpart.
    """
    treated = [one for one in transforms if _treats_image(one, transforms)]
    steps: list[dict[str, Any]] = []
    if len(inputs) > 1:
        steps.append({"step": "align", "inputs": [*inputs[1:]]})
    if next((one.name for one in treated if one.name in ("Orientation", "Spacing")), "") != "Orientation":
        steps.append({"step": "transpose", "axes": [*REVERSED]})
    for one in treated:
        if one.name in _IDLE:
            continue
        if one.name not in _MAPPED:
            one.refuse(
                one.name, f"this transform has no counterpart in a bundle; known are {', '.join(sorted(_MAPPED))}"
            )
        steps += _MAPPED[one.name](one, len(inputs))
    return steps


def image_key(transforms: Sequence[Transform]) -> str:
    """What the configuration calls the image; empty where transforms treat it alone."""
    return next((one.keys[0] for one in transforms if one.name == "LoadImage" and one.keys), "")


def _treats_image(one: Transform, transforms: Sequence[Transform]) -> bool:
    key = image_key(transforms)
    return not one.keys or not key or key in one.keys


def _load(one: Transform, channels: int) -> Steps:
    found = one.take(*_LOADING, reader=None)
    if found["reader"] not in _READERS:
        one.refuse(found["reader"], "this reader gives another order of axes, or is not MONAI's; leave reader out")
    if len(one.keys) > 1 and len([key for key in one.keys if key not in ("label", "mask", "seg")]) > 1:
        one.refuse(", ".join(one.keys), "several images; needed one whose channels are the inputs")
    yield from ()


def _orientation(one: Transform, channels: int) -> Steps:
    found = one.take(axcodes=None, as_closest_canonical=False, labels=None)
    letters = "RAS" if found["as_closest_canonical"] else str(found["axcodes"])
    if found["labels"] not in (None, [["L", "R"], ["P", "A"], ["I", "S"]]):
        one.refuse("labels", "other letters than L R P A I S have no counterpart in a bundle")
    axes = [next((pair for pair in ("LR", "PA", "IS") if letter in pair), "") for letter in letters]
    if sorted(axes) != ["IS", "LR", "PA"]:
        one.refuse(f"axcodes: {letters}", "needed three letters as RAS or LPS")
    yield {"step": "reorient", "orientation": letters}


def _spacing(one: Transform, channels: int) -> Steps:
    found = one.take(pixdim=None, diagonal=False, mode="bilinear", padding_mode="border", align_corners=False,
                     scale_extent=False, recompute_affine=False, min_pixdim=None, max_pixdim=None)  # fmt: skip
    for name, needed in (
        ("diagonal", False),
        ("padding_mode", "border"),
        ("scale_extent", False),
        ("recompute_affine", False),
        ("min_pixdim", None),
        ("max_pixdim", None),
    ):
        if _first(found[name]) != needed:
            one.refuse(f"{name}: {found[name]}", f"has no counterpart in a bundle, needed {needed}")
    mode, spacing = str(_first(found["mode"])), found["pixdim"]
    if mode not in _MODES:
        one.refuse(f"mode: {mode}", f"has no counterpart in a bundle, needed one of {', '.join(_MODES)}")
    spacing = [*spacing] if isinstance(spacing, list) else [spacing]
    if not 1 <= len(spacing) <= 3 or not all(_is_number(value) and value > 0 for value in spacing):
        one.refuse(f"pixdim: {spacing}", "needed one to three numbers above 0")
    spacing += spacing[-1:] * (3 - len(spacing))
    yield {"step": "restep", "spacing_mm": [float(value) for value in spacing], "interpolation": _MODES[mode]}


def _crop(one: Transform, channels: int) -> Steps:
    source = one.take(source_key=None, select_fn=None, channel_indices=None, margin=0, allow_smaller=False,
                      k_divisible=1, mode="constant", start_coord_key="", end_coord_key="")  # fmt: skip
    for name, needed in (("select_fn", None), ("channel_indices", None), ("margin", 0), ("k_divisible", 1)):
        value = source[name]
        if any(side != needed for side in (value if isinstance(value, list) else [value])):
            one.refuse(f"{name}: {value}", f"has no counterpart in a bundle, needed {needed or 'it left out'}")
    if source["source_key"] is not None and one.keys and source["source_key"] not in one.keys:
        one.refuse(f"source_key: {source['source_key']}", "needed the image itself")
    yield from ({"step": "positive"}, {"step": "crop_to_mask", "around": "positive"})


def _range(one: Transform, channels: int) -> Steps:
    found = one.take(a_min=None, a_max=None, b_min=None, b_max=None, clip=False)
    yield from _scaled(one, {"step": "scale", "range": _pair(one, found, "a_min", "a_max")}, found)


def _percentiles(one: Transform, channels: int) -> Steps:
    found = one.take(lower=None, upper=None, b_min=None, b_max=None, clip=False, relative=False, channel_wise=False)
    _require_one_or_each(one, found["channel_wise"], channels)
    lower, upper = _pair(one, found, "lower", "upper")
    if found["relative"] and _is_number(found["b_min"]) and _is_number(found["b_max"]):
        span = found["b_max"] - found["b_min"]
        found |= {"b_min": span * lower / 100 + found["b_min"], "b_max": span * upper / 100 + found["b_min"]}
    yield from _scaled(one, {"step": "minmax", "percentiles": [lower, upper]}, found)


def _scaled(one: Transform, step: dict[str, Any], found: Mapping[str, Any]) -> Steps:
    if (found["b_min"] is None) != (found["b_max"] is None):
        one.refuse("b_min, b_max", "one of them is missing; needed both or neither")
    to = [0.0, 1.0] if found["b_min"] is None else _pair(one, found, "b_min", "b_max")
    yield {**step, "to": to}
    if found["clip"] and found["b_min"] is not None:
        yield {"step": "clip", "range": to}


def _minmax(one: Transform, channels: int) -> Steps:
    found = one.take(minv=0.0, maxv=1.0, factor=None, channel_wise=False)
    if found["minv"] is None and found["maxv"] is None:
        if not _is_number(found["factor"]) or found["factor"] <= -1:
            one.refuse(f"factor: {found['factor']}", "needed a number above -1 where minv and maxv are none")
        yield {"step": "scale", "range": [0.0, 1.0], "to": [0.0, 1.0 + found["factor"]]}
        return
    _require_one_or_each(one, found["channel_wise"], channels)
    yield {"step": "minmax", "to": _pair(one, found, "minv", "maxv")}


def _normalise(one: Transform, channels: int) -> Steps:
    found = one.take(subtrahend=None, divisor=None, nonzero=False, channel_wise=False)
    mean, deviation = (_first(found[name]) for name in ("subtrahend", "divisor"))
    step: dict[str, Any] = {"step": "zscore"}
    if mean is None and deviation is None:
        _require_one_or_each(one, found["channel_wise"], channels)
    elif channels > 1 or not _is_number(mean) or not _is_number(deviation) or deviation <= 0:
        one.refuse("subtrahend, divisor", "needed one number each for a single input, the divisor above 0, or neither")
    else:
        step |= {"mean": float(mean), "deviation": float(deviation)}
    if found["nonzero"]:
        step |= {"over": "foreground", "outside": 0.0}
    yield step


def _clip_percentiles(one: Transform, channels: int) -> Steps:
    found = one.take(lower=None, upper=None, sharpness_factor=None, channel_wise=False, return_clipping_values=False)
    if found["sharpness_factor"] is not None:
        one.refuse(f"sharpness_factor: {found['sharpness_factor']}", "has no counterpart in a bundle, leave it out")
    _require_one_or_each(one, found["channel_wise"], channels)
    found |= {"lower": found["lower"] or 0.0, "upper": 100.0 if found["upper"] is None else found["upper"]}
    yield {"step": "clip_percentiles", "percentiles": _pair(one, found, "lower", "upper")}


def _pair(one: Transform, found: Mapping[str, Any], low: str, high: str) -> list[float]:
    if not _is_number(found[low]) or not _is_number(found[high]) or not found[low] < found[high]:
        one.refuse(f"{low}: {found[low]}, {high}: {found[high]}", "needed two numbers, the lower one first")
    return [float(found[low]), float(found[high])]


def _require_one_or_each(one: Transform, each: Any, channels: int) -> None:
    """A bundle takes statistics of every input on its own."""
    if channels > 1 and not each:
        one.refuse(
            "channel_wise: false", f"statistics over {channels} channels together have no counterpart in a bundle"
        )


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_MAPPED: Mapping[str, Callable[[Transform, int], Steps]] = MappingProxyType(
    {
        "ClipIntensityPercentiles": _clip_percentiles,
        "CropForeground": _crop,
        "LoadImage": _load,
        "NormalizeIntensity": _normalise,
        "Orientation": _orientation,
        "ScaleIntensity": _minmax,
        "ScaleIntensityRange": _range,
        "ScaleIntensityRangePercentiles": _percentiles,
        "Spacing": _spacing,
    }
)
