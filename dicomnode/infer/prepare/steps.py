"""Which function does which step of `[[prepare]]`; a step's settings are the function's keywords."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from dicomnode.infer.prepare import body, contrast, histogram, intensity, lungs, normalise, shading, smooth, spatial
from dicomnode.infer.prepare.grid import Grid
from dicomnode.infer.prepare.image import Image, Mask
from dicomnode.infer.prepare.labelled import labelled
from dicomnode.infer.prepare.nonzero import nonzero, positive

#: Masks that steps find, and that later steps name as `over` or `around`.
MASKS = frozenset({"body", "lungs", "nonzero", "positive"})

#: Steps that find masks, with less memory in the integers of the source than in floats.
FINDERS = frozenset({"body_mask", "lungs", "nonzero", "positive"})

#: The mask that needs no step.
FOREGROUND = "foreground"

#: Steps that change the grid: the new one, found on the first input that the step treats.
GRIDS: Mapping[str, Callable[..., Grid]] = MappingProxyType(
    {
        "align": spatial.align,
        "crop_or_pad": spatial.crop_or_pad,
        "crop_to_mask": spatial.crop_to_mask,
        "reorient": spatial.reorient,
        "resample": spatial.resample,
        "resize": spatial.resize,
        "respace": spatial.respace,
        "restep": spatial.restep,
        "transpose": spatial.transpose,
    }
)

#: Steps that find one mask in all their inputs at once; it bears their name.
JOINT: Mapping[str, Callable[[Sequence[Image]], Mask]] = MappingProxyType({"nonzero": nonzero, "positive": positive})

#: Steps on the labels of a coarse model, which have the mask of the first input.
LABELS: Mapping[str, Callable[[Image], Image]] = MappingProxyType({"labelled": labelled})

#: Steps that change values or find masks.
VALUES: Mapping[str, Callable[..., Image]] = MappingProxyType(
    {
        "bias_field": shading.bias_field,
        "bins": intensity.bins,
        "body_mask": body.body_mask,
        "clip": intensity.clip,
        "clip_percentiles": normalise.clip_percentiles,
        "equalise": histogram.equalise,
        "equalise_locally": contrast.equalise_locally,
        "fill": intensity.fill,
        "gamma": intensity.gamma,
        "gaussian": smooth.gaussian,
        "log": intensity.log,
        "lungs": lungs.lungs,
        "match_histogram": histogram.match_histogram,
        "median": smooth.median,
        "minmax": normalise.minmax,
        "scale": intensity.scale,
        "set_outside": body.set_outside,
        "window": intensity.window,
        "zscore": normalise.zscore,
    }
)
