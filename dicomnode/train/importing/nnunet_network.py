"""nnU-Net's two U-Nets in PyTorch, built from a plan, with the names of parameters that its checkpoints have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dicomnode.train.importing.faults import need, refuse

_WHERE = "plans.json: architecture"

#: Activations by the last part of the class name that a plan states.
_ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "LeakyReLU": nn.LeakyReLU,
    "ReLU": nn.ReLU,
    "ELU": nn.ELU,
    "GELU": nn.GELU,
    "SiLU": nn.SiLU,
    "PReLU": nn.PReLU,
}

Axes = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a network is put together from, in two or three dimensions."""

    dimensions: int
    bias: bool
    norm: Callable[[int], nn.Module] | None
    activation: Callable[[], nn.Module] | None
    activation_first: bool

    def convolution(self, inside: int, outside: int, kernel: Axes, stride: Axes, *, bias: bool) -> nn.Module:
        """A convolution that keeps the size where the stride is 1."""
        kind = nn.Conv2d if self.dimensions == 2 else nn.Conv3d
        padding = tuple((size - 1) // 2 for size in kernel)
        return kind(inside, outside, kernel, stride, padding, bias=bias)  # type: ignore[arg-type]

    def transposed(self, inside: int, outside: int, stride: Axes) -> nn.Module:
        """A transposed convolution that enlarges by its stride."""
        kind = nn.ConvTranspose2d if self.dimensions == 2 else nn.ConvTranspose3d
        return kind(inside, outside, stride, stride, bias=self.bias)  # type: ignore[arg-type]

    def pooling(self, stride: Axes) -> nn.Module:
        """Means over blocks of a stride."""
        kind = nn.AvgPool2d if self.dimensions == 2 else nn.AvgPool3d
        return kind(stride, stride)  # type: ignore[arg-type]

    def ones(self) -> Axes:
        """A kernel or stride of 1 along every axis."""
        return (1,) * self.dimensions


class Convolved(nn.Module):
    """Convolution, normalisation, activation."""

    def __init__(
        self, parts: Parts, inside: int, outside: int, kernel: Axes, stride: Axes, *, bias: bool, active: bool = True
    ) -> None:
        super().__init__()
        self.conv = parts.convolution(inside, outside, kernel, stride, bias=bias)
        if parts.norm is not None:
            self.norm = parts.norm(outside)
        order = ["conv", *(["norm"] if parts.norm is not None else [])]
        if active and parts.activation is not None:
            self.nonlin = parts.activation()
            order.insert(1 if parts.activation_first and parts.norm is not None else len(order), "nonlin")
        self._order = tuple(order)

    def forward(self, image: Tensor) -> Tensor:
        for name in self._order:
            image = getattr(self, name)(image)
        return image


class Stacked(nn.Module):
    """Convolutions one after the other, the first with a stride."""

    def __init__(self, parts: Parts, count: int, inside: int, outside: int, kernel: Axes, stride: Axes) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            *(
                Convolved(
                    parts,
                    outside if number else inside,
                    outside,
                    kernel,
                    parts.ones() if number else stride,
                    bias=parts.bias,
                )
                for number in range(count)
            )
        )

    def forward(self, image: Tensor) -> Tensor:
        found: Tensor = self.convs(image)
        return found


class Residual(nn.Module):
    """A residual block of two convolutions, or of three with a bottleneck (ResNet-D)."""

    def __init__(
        self, parts: Parts, inside: int, outside: int, kernel: Axes, stride: Axes, bottleneck: int | None
    ) -> None:
        super().__init__()
        one = parts.ones()
        if bottleneck is None:
            self.conv1 = Convolved(parts, inside, outside, kernel, stride, bias=parts.bias)
            self.conv2 = Convolved(parts, outside, outside, kernel, one, bias=parts.bias, active=False)
        else:
            self.conv1 = Convolved(parts, inside, bottleneck, one, one, bias=parts.bias)
            self.conv2 = Convolved(parts, bottleneck, bottleneck, kernel, stride, bias=parts.bias)
            self.conv3 = Convolved(parts, bottleneck, outside, one, one, bias=parts.bias, active=False)
        shortcut: list[nn.Module] = []
        if any(step != 1 for step in stride):
            shortcut.append(parts.pooling(stride))
        if inside != outside:
            shortcut.append(Convolved(parts, inside, outside, one, one, bias=False, active=False))
        self.skip = nn.Sequential(*shortcut)
        self.last = parts.activation() if parts.activation is not None else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        found = self.conv2(self.conv1(image))
        if hasattr(self, "conv3"):
            found = self.conv3(found)
        out: Tensor = self.last(found + self.skip(image))
        return out


class Blocks(nn.Module):
    """Residual blocks one after the other."""

    def __init__(self, blocks: Sequence[Residual]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def forward(self, image: Tensor) -> Tensor:
        found: Tensor = self.blocks(image)
        return found


class Encoder(nn.Module):
    """Stages of falling resolution, with a stem before them where they are residual."""

    def __init__(self, stages: Sequence[nn.Module], stem: nn.Module | None) -> None:
        super().__init__()
        if stem is not None:
            self.stem = stem
        self.stages = nn.Sequential(*stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        if hasattr(self, "stem"):
            image = self.stem(image)
        found = []
        for stage in self.stages:
            image = stage(image)
            found.append(image)
        return found


class Decoder(nn.Module):
    """Stages of rising resolution; the heads of all but the last served training alone."""

    def __init__(
        self, transposed: Sequence[nn.Module], stages: Sequence[nn.Module], heads: Sequence[nn.Module]
    ) -> None:
        super().__init__()
        self.transpconvs = nn.ModuleList(transposed)
        self.stages = nn.ModuleList(stages)
        self.seg_layers = nn.ModuleList(heads)

    def forward(self, skips: list[Tensor]) -> Tensor:
        image = skips[-1]
        for number, (enlarge, stage) in enumerate(zip(self.transpconvs, self.stages, strict=True)):
            image = stage(torch.cat((enlarge(image), skips[-(number + 2)]), 1))
        logits: Tensor = self.seg_layers[-1](image)
        return logits


class UNet(nn.Module):
    """Encoder and decoder."""

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.decoder(self.encoder(image))
        return logits


def build(name: str, arguments: Mapping[str, Any], channels: int, heads: int) -> UNet:
    """The network that a plan describes, with weights of chance.

    Parameters
    ----------
    name
        Last part of the class name: PlainConvUNet or ResidualEncoderUNet.

    Raises
    ------
    ConfigError
        If a class or an argument is not one that this module builds.
    """
    residual = name == "ResidualEncoderUNet"
    if name not in ("PlainConvUNet", "ResidualEncoderUNet"):
        refuse(_WHERE, name, "no such network is built here; known: PlainConvUNet, ResidualEncoderUNet")
    stages = need(arguments, "n_stages", int, _WHERE)
    parts = _parts(arguments)
    features = _per_stage(arguments, "features_per_stage", stages)
    kernels = [_axes(one, parts) for one in _per_stage(arguments, "kernel_sizes", stages)]
    strides = [_axes(one, parts) for one in _per_stage(arguments, "strides", stages)]
    counts = _per_stage(arguments, "n_blocks_per_stage" if residual else "n_conv_per_stage", stages)
    after = _per_stage(arguments, "n_conv_per_stage_decoder", stages - 1)
    stem = None
    inside = channels
    if residual:
        inside = arguments.get("stem_channels") or features[0]
        stem = Stacked(parts, 1, channels, inside, kernels[0], parts.ones())
    narrow = _bottlenecks(arguments, stages)
    encoder = []
    for number in range(stages):
        width, kernel, stride = features[number], kernels[number], strides[number]
        if residual:
            blocks = [
                Residual(
                    parts, width if place else inside, width, kernel, parts.ones() if place else stride, narrow[number]
                )
                for place in range(counts[number])
            ]
            encoder.append(Blocks(blocks))
        else:
            encoder.append(nn.Sequential(Stacked(parts, counts[number], inside, width, kernel, stride)))
        inside = width
    deep = list(range(stages - 1, 0, -1))
    decoder = Decoder(
        [parts.transposed(features[level], features[level - 1], strides[level]) for level in deep],
        [
            Stacked(parts, count, 2 * features[level - 1], features[level - 1], kernels[level - 1], parts.ones())
            for count, level in zip(after, deep, strict=True)
        ],
        [parts.convolution(features[level - 1], heads, parts.ones(), parts.ones(), bias=True) for level in deep],
    )
    return UNet(Encoder(encoder, stem), decoder)


def load(network: UNet, weights: Mapping[str, Tensor], where: str) -> UNet:
    """The network with the weights of a checkpoint, ready to answer.

    Raises
    ------
    ConfigError
        If they are not this network's.
    """
    own = network.state_dict()
    strange, missing = sorted({*weights} - {*own}), sorted({*own} - {*weights})
    if strange or missing:
        told = f"holds {strange[0]}" if strange else f"lacks {missing[0]}"
        refuse(where, f"{len(strange)} more, {len(missing)} fewer", f"{told}: its trainer built another network")
    for name, tensor in own.items():
        if tensor.shape != weights[name].shape:
            shapes = f"{tuple(weights[name].shape)}, the plan's network has {tuple(tensor.shape)}"
            refuse(f"{where}: {name}", shapes, "plans.json, dataset.json and checkpoint are not of one training")
    network.load_state_dict(dict(weights))
    return network.float().eval()


def _parts(arguments: Mapping[str, Any]) -> Parts:
    convolution = str(arguments.get("conv_op"))
    if not convolution.endswith(("Conv2d", "Conv3d")):
        refuse(f"{_WHERE}.conv_op", convolution, "needed Conv2d or Conv3d")
    dimensions = 2 if convolution.endswith("2d") else 3
    return Parts(
        dimensions=dimensions,
        bias=bool(arguments.get("conv_bias", False)),
        norm=_norm(arguments, dimensions),
        activation=_activation(arguments),
        activation_first=bool(arguments.get("nonlin_first", False)),
    )


def _norm(arguments: Mapping[str, Any], dimensions: int) -> Callable[[int], nn.Module] | None:
    stated = arguments.get("norm_op")
    if stated is None:
        return None
    kinds: dict[str, Any] = {
        "InstanceNorm": (nn.InstanceNorm2d, nn.InstanceNorm3d)[dimensions - 2],
        "BatchNorm": (nn.BatchNorm2d, nn.BatchNorm3d)[dimensions - 2],
    }
    name = str(stated).rpartition(".")[2].rstrip("123d")
    if name not in kinds:
        refuse(f"{_WHERE}.norm_op", stated, f"no such normalisation here; known: {', '.join(kinds)}")
    options = _plain_options(arguments, "norm_op_kwargs", {"eps", "affine", "momentum", "track_running_stats"})
    return lambda features: kinds[name](features, **options)  # type: ignore[no-any-return]


def _activation(arguments: Mapping[str, Any]) -> Callable[[], nn.Module] | None:
    stated = arguments.get("nonlin")
    if stated is None:
        return None
    name = str(stated).rpartition(".")[2]
    if name not in _ACTIVATIONS:
        refuse(f"{_WHERE}.nonlin", stated, f"no such activation here; known: {', '.join(_ACTIVATIONS)}")
    options = _plain_options(
        arguments, "nonlin_kwargs", {"negative_slope", "alpha", "approximate", "num_parameters", "inplace"}
    )
    return lambda: _ACTIVATIONS[name](**{**options, **({"inplace": False} if "inplace" in options else {})})


def _plain_options(arguments: Mapping[str, Any], key: str, known: set[str]) -> dict[str, Any]:
    options = arguments.get(key) or {}
    if not isinstance(options, dict) or not {*options} <= known:
        refuse(f"{_WHERE}.{key}", options, f"known: {', '.join(sorted(known))}")
    return dict(options)


def _bottlenecks(arguments: Mapping[str, Any], stages: int) -> list[int | None]:
    block = str(arguments.get("block", "BasicBlockD")).rpartition(".")[2]
    if block == "BasicBlockD":
        return [None] * stages
    if block != "BottleneckD":
        refuse(f"{_WHERE}.block", block, "known: BasicBlockD, BottleneckD")
    return [*_per_stage(arguments, "bottleneck_channels", stages)]


def _per_stage(arguments: Mapping[str, Any], key: str, stages: int) -> list[Any]:
    """A value for every stage, of which one stands for all."""
    value = arguments.get(key)
    if isinstance(value, int):
        return [value] * stages
    if not isinstance(value, list) or len(value) != stages:
        refuse(f"{_WHERE}.{key}", value, f"needed a number, or one for each of {stages} stages")
    return value


def _axes(value: Any, parts: Parts) -> Axes:
    axes = (value,) * parts.dimensions if isinstance(value, int) else tuple(int(one) for one in value)
    if len(axes) != parts.dimensions:
        refuse(_WHERE, value, f"needed {parts.dimensions} numbers for {parts.dimensions} axes")
    return axes
