"""The network of the lung model: a small U-Net whose convolutions are in-plane, with a few through the slices."""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

WIDTHS = (16, 32, 48, 80, 112, 128)
"""Channels at each level; in-plane resolution halves from level to level."""
DEEPENED = (False, False, True, True, False)
"""Whether the step below a level also halves the number of slices."""
DIVISOR = (4, 32, 32)
"""A tile's (slice, row, column) must be multiples of this."""

AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)


class Convolution(nn.Module):
    """Convolution, batch normalisation and rectifier; the normalisation can be folded away for export."""

    def __init__(self, inward: int, outward: int, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.convolution: nn.Module = nn.Conv3d(inward, outward, kernel, stride, padding, bias=False)
        self.normalisation: nn.Module = nn.BatchNorm3d(outward, momentum=0.05)

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = torch.relu(self.normalisation(self.convolution(image)))
        return result

    def fold(self) -> None:
        """Multiply the normalisation into the weights (evaluation only)."""
        if isinstance(self.normalisation, nn.Identity):
            return
        assert isinstance(self.convolution, nn.Conv3d) and isinstance(self.normalisation, nn.BatchNorm3d)
        self.convolution = fuse_conv_bn_eval(self.convolution, self.normalisation)
        self.normalisation = nn.Identity()


def _plane(inward: int, outward: int, stride: tuple[int, int, int] = (1, 1, 1)) -> Convolution:
    return Convolution(inward, outward, (1, 3, 3), stride)


def _through(width: int) -> Convolution:
    return Convolution(width, width, (3, 1, 1), (1, 1, 1))


class Residual(nn.Module):
    """Convolutions whose result is added to what came in."""

    def __init__(self, *steps: nn.Module) -> None:
        super().__init__()
        self.steps = nn.Sequential(*steps)

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = image + self.steps(image)
        return result


class LungNetwork(nn.Module):
    """Logits of background and labels (right and left lung) for tiles of scaled CT.

    In: float32 (batch, 1, slice, row, column), 0 to 1. Out: (batch, channel, slice, row, column); in training also the
    logits at a quarter of the in-plane resolution, which help the deep levels to learn early.

    Parameters
    ----------
    channels : int
        Labels with the background.
    widths : tuple of int
        Channels of the layers at each of the six levels.
    """

    def __init__(self, channels: int = 3, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stem = nn.Sequential(_plane(1, widths[0]), _plane(widths[0], widths[0]))
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        self.joined = nn.ModuleList()
        for level, (upper, lower) in enumerate(pairwise(widths)):
            stride = (2 if DEEPENED[level] else 1, 2, 2)
            kernel = (3 if DEEPENED[level] else 1, 3, 3)
            enter = Convolution(upper, lower, kernel, stride)
            if level == 0:
                block: nn.Module = nn.Sequential(enter, _plane(lower, lower))
            elif level == 1:
                block = nn.Sequential(enter, Residual(_plane(lower, lower), _through(lower)))
            else:
                block = nn.Sequential(
                    enter,
                    Residual(_plane(lower, lower), _through(lower)),
                    Residual(_plane(lower, lower), _plane(lower, lower)),
                )
            self.down.append(block)
            self.up.append(nn.ConvTranspose3d(lower, upper, (stride[0], 2, 2), (stride[0], 2, 2)))
            self.joined.append(
                _plane(upper, upper) if level < 2 else nn.Sequential(_plane(upper, upper), _through(upper))
            )
        self.head = nn.Conv3d(widths[0], channels, 1)
        self.coarse_head = nn.Conv3d(widths[2], channels, 1)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        features = [self.stem(image)]
        for block in self.down:
            features.append(block(features[-1]))
        result = features.pop()
        coarse: Tensor | None = None
        for level in reversed(range(len(self.up))):
            if level == 1 and self.training:
                coarse = self.coarse_head(result)
            result = self.joined[level](torch.relu(self.up[level](result) + features.pop()))
        logits: Tensor = self.head(result)
        return logits if coarse is None else (logits, coarse)


def folded(network: AnyNetwork) -> AnyNetwork:
    """A copy for inference, in float32 on the CPU, with every normalisation folded into its convolution."""
    copied = copy.deepcopy(network).cpu().float().eval()
    for module in list(copied.modules()):
        if isinstance(module, Convolution):
            module.fold()
    return copied


def continued(path: Path, channels: int, images: Iterable[Tensor]) -> LungNetwork:
    """A network that begins with the weights of an exported one.

    Its normalisations, which the export has folded away, are put back so that they change nothing at first: without
    them a network hardly learns anew. Channels that the exported one lacks begin with small weights and a low
    probability; the others are then held less firmly, so that a new one can win.

    Parameters
    ----------
    path : Path
        What `export_onnx` has written.
    channels : int
        Labels with the background, at least those of the exported network.
    images : iterable of Tensor, (batch, 1, slice, row, column)
        Examples, from which the statistics of the layers are taken.
    """
    flat = folded(LungNetwork(channels))
    stored = {
        one.name.removesuffix("_half"): torch.from_numpy(onnx.numpy_helper.to_array(one).astype(np.float32))
        for one in onnx.load(str(path)).graph.initializer
    }
    state = flat.state_dict()
    for name, values in stored.items():
        state[name][: len(values)] = values
    known = len(stored["head.bias"])
    if known < channels:
        state["head.weight"][:known] *= 0.5
        state["head.bias"][:known] *= 0.5
        state["head.bias"][known:] = state["coarse_head.bias"][known:] = -2.0
    flat.load_state_dict(state)
    network = LungNetwork(channels)
    own = network.state_dict()
    own.update({name: values for name, values in flat.state_dict().items() if name in own})
    for name, (mean, variance) in _statistics(flat, images).items():
        own[f"{name}.normalisation.running_mean"] = mean - state[f"{name}.convolution.bias"]
        own[f"{name}.normalisation.running_var"] = variance
        own[f"{name}.normalisation.weight"] = torch.sqrt(variance + nn.BatchNorm3d(1).eps)
        own[f"{name}.normalisation.bias"] = mean
    network.load_state_dict(own)
    return network


@torch.no_grad()
def _statistics(flat: LungNetwork, images: Iterable[Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and variance of what every convolution gives, per channel, over all images."""
    values: dict[str, list[Tensor]] = defaultdict(list)

    def kept(name: str, result: Tensor) -> None:
        values[name].append(torch.stack([result.mean((0, 2, 3, 4)), (result * result).mean((0, 2, 3, 4))]))

    hooks = [
        module.convolution.register_forward_hook(lambda _m, _i, result, name=name: kept(name, result))
        for name, module in flat.named_modules()
        if isinstance(module, Convolution)
    ]
    for image in images:
        flat(image)
    for hook in hooks:
        hook.remove()
    found = {}
    for name, rows in values.items():
        mean, squares = torch.stack(rows).mean(0)
        # A channel that is silent in all examples keeps a variance that can be divided by.
        found[name] = (mean, (squares - mean * mean).clamp_min(1e-4))
    return found


def export_onnx(network: LungNetwork, path: Path, tile: tuple[int, int, int]) -> None:
    """Write the network as ONNX: `image` (batch, 1, slice, row, column) in, `logits` out, all but channels dynamic.

    Weights are stored in half precision and widened when the file is loaded: half the size, the same speed.
    """
    axes = {0: "batch", 2: "slice", 3: "row", 4: "column"}
    with warnings.catch_warnings():
        # the newer exporter needs one more package and gains nothing for plain convolutions
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            folded(network),
            (torch.zeros(1, 1, *tile),),
            str(path),
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": axes, "logits": axes},
            opset_version=17,
            dynamo=False,
        )
    _store_in_half_precision(path)


def _store_in_half_precision(path: Path) -> None:
    """Replace every float32 kernel by a float16 one and a cast, which the runtime computes once at loading."""
    model = onnx.load(str(path))
    kernels = [one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT and len(one.dims) > 1]
    casts = []
    for kernel in kernels:
        half = onnx.numpy_helper.to_array(kernel).astype(np.float16)
        stored = onnx.numpy_helper.from_array(half, f"{kernel.name}_half")
        casts.append(onnx.helper.make_node("Cast", [stored.name], [kernel.name], to=onnx.TensorProto.FLOAT))
        model.graph.initializer.remove(kernel)
        model.graph.initializer.append(stored)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
