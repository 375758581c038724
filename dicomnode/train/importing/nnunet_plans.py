"""What one configuration of nnU-Net's plans.json asks for, checked, as values of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dicomnode.train.importing.faults import need, refuse

_WHERE = "plans.json"

#: nnU-Net's own function for resampling, which the step `respace` repeats.
_RESAMPLING = "resample_data_or_seg_to_shape"

#: Spacings that differ by more are resampled plane by plane (nnunetv2.configuration.ANISO_THRESHOLD).
_ANISOTROPY = 3.0

#: Orders of splines by the words of bundles.
_ORDERS = {0: "nearest", 1: "linear", 3: "bspline"}

SCHEMES = (
    "CTNormalization",
    "ZScoreNormalization",
    "RescaleTo01Normalization",
    "RGBTo01Normalization",
    "NoNormalization",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """How values get onto another spacing.

    Attributes
    ----------
    order, apart
        Interpolation, and that along the axis that is taken on its own.
    above
        Anisotropy from which on it is; None: never.
    """

    order: str
    apart: str
    above: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One configuration; axes are those of the network, after `transpose`.

    Attributes
    ----------
    patch
        Two or three counts.
    spacing_mm
        As many.
    schemes, masked
        Normalisation of every channel, and whether it looks at the region that is not 0 alone.
    intensities
        Statistics of the training data by channel.
    architecture
        Class name and arguments of the network.
    reader
        nnU-Net's class that read the training images: it settles how axes lay.
    previous
        The configuration whose labels its network takes beside the image, as second stage of a cascade; else empty.
    """

    configuration: str
    patch: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    schemes: tuple[str, ...]
    masked: tuple[bool, ...]
    intensities: tuple[Mapping[str, float], ...]
    transpose: tuple[int, int, int]
    data: Resampling
    answer: Resampling
    architecture: tuple[str, Mapping[str, Any]] = field(repr=False)
    reader: str
    dataset_name: str
    previous: str = ""


def plan_of(plans: Mapping[str, Any], configuration: str) -> Plan:
    """The plan of a configuration.

    Raises
    ------
    ConfigError
        Naming what is missing, or what a bundle cannot say.
    """
    table = _inherited(plans, configuration, ())
    where = f"{_WHERE}: {configuration}"
    schemes = tuple(str(one) for one in need(table, "normalization_schemes", list, where))
    for scheme in schemes:
        if scheme not in SCHEMES:
            refuse(f"{where}.normalization_schemes", scheme, f"no such scheme here; known: {', '.join(SCHEMES)}")
    transpose = tuple(need(plans, "transpose_forward", list, _WHERE))
    if sorted(transpose) != [0, 1, 2]:
        refuse(f"{_WHERE}: transpose_forward", list(transpose), "needed 0, 1 and 2, each once")
    patch, spacing = need(table, "patch_size", list, where), need(table, "spacing", list, where)
    if len(patch) not in (2, 3) or len(spacing) != len(patch):
        refuse(f"{where}.patch_size", patch, "needed two or three counts, and as many numbers in spacing")
    statistics = plans.get("foreground_intensity_properties_per_channel") or plans.get(
        "foreground_intensity_properties_by_modality", {}
    )
    data, previous = _resampling(table, "data", where), str(table.get("previous_stage") or "")
    if previous:
        _require_labels_resampled_alike(table, data, where)
    return Plan(
        configuration=configuration,
        patch=tuple(int(count) for count in patch),
        spacing_mm=tuple(float(one) for one in spacing),
        schemes=schemes,
        masked=tuple(bool(one) for one in need(table, "use_mask_for_norm", list, where)),
        intensities=tuple(_statistics(statistics, channel, scheme) for channel, scheme in enumerate(schemes)),
        transpose=(int(transpose[0]), int(transpose[1]), int(transpose[2])),
        data=data,
        answer=_resampling(table, "probabilities", where),
        architecture=_architecture(table, where),
        reader=str(plans.get("image_reader_writer", "")),
        dataset_name=str(plans.get("dataset_name", "")),
        previous=previous,
    )


def _inherited(plans: Mapping[str, Any], name: str, through: tuple[str, ...]) -> dict[str, Any]:
    """A configuration with what it inherits."""
    every = need(plans, "configurations", dict, _WHERE)
    if name not in every or name in through:
        refuse(f"{_WHERE}: configurations", name, f"no such configuration; there are {', '.join(every)}")
    own = need(every, name, dict, _WHERE)
    parent = own.get("inherits_from")
    return {**(_inherited(plans, str(parent), (*through, name)) if parent else {}), **own}


def _statistics(statistics: Any, channel: int, scheme: str) -> Mapping[str, float]:
    if scheme != "CTNormalization":
        return {}
    where = f"{_WHERE}: foreground_intensity_properties_per_channel.{channel}"
    table = need(statistics if isinstance(statistics, dict) else {}, str(channel), dict, where)
    found = {}
    for name in ("mean", "std", "percentile_00_5", "percentile_99_5"):
        value = table.get(name)
        if not isinstance(value, int | float):
            refuse(f"{where}.{name}", value, "needed a number for CTNormalization")
        found[name] = float(value)
    if not (found["percentile_00_5"] < found["percentile_99_5"] and found["std"] > 0):
        refuse(where, found, "needed a spread of intensities for CTNormalization")
    return found


def _resampling(table: Mapping[str, Any], what: str, where: str) -> Resampling:
    name = f"resampling_fn_{what}"
    function, options = table.get(name), table.get(f"{name}_kwargs")
    if function != _RESAMPLING:
        refuse(f"{where}.{name}", function, f"a bundle repeats {_RESAMPLING} alone; train with nnU-Net's default plans")
    options = options if isinstance(options, dict) else {}
    order, apart = options.get("order", 3), options.get("order_z", 0)
    forced = options.get("force_separate_z", False)
    known = {0, 1, 3} if what == "data" else {1}
    if order not in known or apart not in (0, 1) or forced is True:
        say = f"needed order {' or '.join(map(str, sorted(known)))}, order_z 0 or 1, and force_separate_z null or false"
        refuse(f"{where}.{name}_kwargs", options, say)
    above = None if forced is False else float(options.get("separate_z_anisotropy_threshold", _ANISOTROPY))
    return Resampling(order=_ORDERS[order], apart=_ORDERS[apart], above=above)


def _require_labels_resampled_alike(table: Mapping[str, Any], data: Resampling, where: str) -> None:
    """Labels of the previous stage go the image's way, in the one manner that a bundle repeats."""
    labels = _resampling(table, "seg", where)
    if labels.apart != "nearest" or labels.above != data.above:
        told = table.get("resampling_fn_seg_kwargs")
        refuse(f"{where}.resampling_fn_seg_kwargs", told, "needed order_z 0 and force_separate_z as of the image")


def _architecture(table: Mapping[str, Any], where: str) -> tuple[str, Mapping[str, Any]]:
    """Class and arguments; plans from before nnU-Net 2.4 are read as it reads them (`ConfigurationManager`)."""
    if "architecture" in table:
        own = need(table, "architecture", dict, where)
        name = need(own, "network_class_name", str, f"{where}.architecture")
        return name.rpartition(".")[2], need(own, "arch_kwargs", dict, f"{where}.architecture")
    name = need(table, "UNet_class_name", str, where)
    encoder = need(table, "n_conv_per_stage_encoder", list, where)
    base, most = need(table, "UNet_base_num_features", int, where), need(table, "unet_max_num_features", int, where)
    return name, {
        "n_stages": len(encoder),
        "features_per_stage": [min(base * 2**stage, most) for stage in range(len(encoder))],
        "conv_op": f"torch.nn.modules.conv.Conv{len(need(table, 'patch_size', list, where))}d",
        "kernel_sizes": need(table, "conv_kernel_sizes", list, where),
        "strides": need(table, "pool_op_kernel_sizes", list, where),
        "n_conv_per_stage" if name == "PlainConvUNet" else "n_blocks_per_stage": encoder,
        "n_conv_per_stage_decoder": need(table, "n_conv_per_stage_decoder", list, where),
        "conv_bias": True,
        "norm_op": "InstanceNorm",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {},
    }
