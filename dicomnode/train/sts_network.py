"""The network of the sarcoma model: a compact three-dimensional U-Net over SUV and attenuation on one coarse grid."""

from __future__ import annotations

import warnings
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from dicomnode.train.network import Convolution, Residual, folded

WIDTHS = (8, 32, 64, 96)
"""Channels at each level; resolution halves along every axis from level to level."""
CHANNELS = 2
"""PET and CT, in the order of the bundle's inputs."""
DIVISOR = 8
"""Every side of a tile must be a multiple of this."""


def _cube(inward: int, outward: int, stride: int = 1) -> Convolution:
    return Convolution(inward, outward, (3, 3, 3), (stride, stride, stride))


class SarcomaNetwork(nn.Module):
    """Logits of background and tumour for tiles of scaled PET and CT.

    In: float32 (batch, 2, slice, row, column), 0 to 1. Out: (batch, 2, slice, row, column); in training also the logits
    at half the resolution, which help the deep levels to learn early.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _cube(CHANNELS, WIDTHS[0])
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        self.joined = nn.ModuleList()
        for upper, lower in pairwise(WIDTHS):
            self.down.append(nn.Sequential(_cube(upper, lower, 2), Residual(_cube(lower, lower))))
            self.up.append(nn.ConvTranspose3d(lower, upper, 2, 2))
            self.joined.append(_cube(upper, upper))
        self.bottom = Residual(_cube(WIDTHS[-1], WIDTHS[-1]))
        self.head = nn.Conv3d(WIDTHS[0], 2, 1)
        self.coarse_head = nn.Conv3d(WIDTHS[1], 2, 1)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        features = [self.stem(image)]
        for block in self.down:
            features.append(block(features[-1]))
        result = self.bottom(features.pop())
        coarse: Tensor | None = None
        for level in reversed(range(len(self.up))):
            if level == 0 and self.training:
                coarse = self.coarse_head(result)
            result = self.joined[level](torch.relu(self.up[level](result) + features.pop()))
        logits: Tensor = self.head(result)
        return logits if coarse is None else (logits, coarse)


def export_onnx(network: SarcomaNetwork, path: Path, tile: tuple[int, int, int]) -> None:
    """Write the network as ONNX: `image` (batch, 2, slice, row, column) in, `logits` out, all but channels dynamic."""
    axes = {0: "batch", 2: "slice", 3: "row", 4: "column"}
    with warnings.catch_warnings():
        # the newer exporter needs one more package and gains nothing for plain convolutions
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            folded(network),
            (torch.zeros(1, CHANNELS, *tile),),
            str(path),
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": axes, "logits": axes},
            opset_version=17,
            dynamo=False,
        )
