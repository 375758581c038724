"""A PyTorch network as ONNX, under the names that bundles use."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from dicomnode.domain.errors import ModelError

#: InstanceNormalization, ConvTranspose and their like have not changed since; every onnxruntime of ours reads it.
OPSET = 17


def export(network: nn.Module, path: Path, channels: int, tile: Sequence[int]) -> None:
    """Write a network that maps (batch, channel, …tile) to (batch, label, …tile); the batch stays open.

    Raises
    ------
    ModelError
        If the network holds an operator that ONNX has no word for.
    """
    example = torch.zeros(1, channels, *tile)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # The newer exporter needs one more package and gains nothing for convolutions.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network.eval(),
                (example,),
                str(path),
                input_names=["image"],
                output_names=["logits"],
                dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
                opset_version=OPSET,
                dynamo=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError) as error:
        said = " ".join(str(error).split())[:300]
        raise ModelError(f"{path.name}: the network cannot be written as ONNX ({said})") from error
