"""Builds one of MONAI's own networks by its name and plain arguments, and fills in the weights of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from dicomnode.train.importing.faults import refuse
from dicomnode.train.importing.monai_config import Config
from dicomnode.train.importing.monai_transform import target
from dicomnode.train.importing.unpickled import read_weights

_MODULES = ("monai.networks.nets.",)

#: Networks that map an image to channels over the same voxels, and whose making loads and runs nothing.
NETWORKS = (
    "AttentionUnet", "BasicUNet", "BasicUNetPlusPlus", "BasicUnet", "BasicUnetPlusPlus", "DynUNet", "DynUnet",
    "HighResNet", "RegUNet", "SegResNet", "SegResNetDS", "SwinUNETR", "UNETR", "UNet", "Unet", "VNet",
)  # fmt: skip


def network_of(config: Config, weights: Path) -> tuple[nn.Module, Mapping[str, Any]]:
    """The network of a configuration with its weights, and its name and arguments.

    Raises
    ------
    ConfigError
        If it is no network of MONAI's, cannot be made, or the weights are another's.
    """
    key = "network_def"
    table = config.get(key)
    if table is None:
        refuse(f"{config.where}: {key}", "", "missing, and weights alone are no network; add it, or a models/model.ts")
    name = target(config, table, key, _MODULES)
    if name not in NETWORKS:
        known = ", ".join(NETWORKS)
        refuse(f"{config.where}: {key}", name, f"is not among the networks that an import builds: {known}")
    arguments = {one: config.plain(value, f"{key}.{one}") for one, value in table.items() if one[:1] != "_"}
    built = _made(name, arguments, f"{config.where}: {key}")
    found = read_weights(weights)
    try:
        built.load_state_dict(found)
    except RuntimeError as error:
        said = " ".join(str(error).split())[:240]
        refuse(f"models/{weights.name}", name, f"its weights are those of another network ({said})")
    return built.eval(), {"name": name, **arguments}


def _made(name: str, arguments: Mapping[str, Any], where: str) -> nn.Module:
    try:
        from monai.networks import nets  # type: ignore[import-not-found]
    except ModuleNotFoundError as error:
        if error.name != "monai":
            raise
        refuse(where, name, "needs the package monai: pip install monai, or import models/model.ts instead")
    made = getattr(nets, name, None)
    if made is None:
        refuse(where, name, "is unknown to the version of monai that is installed; install that of the bundle")
    try:
        built: nn.Module = made(**arguments)
    except (
        TypeError,
        ValueError,
        KeyError,
        AttributeError,
        AssertionError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        said = " ".join(str(error).split())[:240]
        refuse(where, name, f"cannot be made of these arguments ({said})")
    return built
