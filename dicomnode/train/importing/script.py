"""Loads a TorchScript file, which is a program, where somebody has said that it may run."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn

from dicomnode.train.importing.faults import refuse


def load_script(path: Path, *, allowed: bool) -> nn.Module:
    """The network of a TorchScript file.

    Raises
    ------
    ConfigError
        If nobody allowed it, or the file is truncated or of another kind.
    """
    if not allowed:
        refuse(
            "--allow-torchscript",
            path.name,
            "not given: TorchScript is a program that runs when it is exported, and nothing shows what it does; "
            "give the option if you trust whoever made the file",
        )
    try:
        with warnings.catch_warnings():
            # Newer versions advise other formats; the file is what it is.
            warnings.simplefilter("ignore", DeprecationWarning)
            found: nn.Module = torch.jit.load(str(path), map_location="cpu")
    except (OSError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        refuse(path.name, str(path.parent), f"cannot be read ({said}); the file is truncated or of another kind")
    return found.eval()
