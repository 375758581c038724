"""The networks of one model, run on batches of tiles: folds, mirrors, graphics card, and the CPU where that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from onnxruntime import InferenceSession, OrtValue

from dicomnode.domain.errors import ModelError, Unsuitable
from dicomnode.domain.model import ModelSpec, Task, Weights
from dicomnode.infer.network.activation import NONE
from dicomnode.infer.network.device import CPU, free_device_bytes
from dicomnode.infer.network.fit import channels_of, fixed_batch, outputs_of
from dicomnode.infer.network.runtime import RUNTIME_ERRORS, mapped, memory_is_short, words
from dicomnode.infer.network.session import Sessions

Floats = npt.NDArray[np.float32]
Values = tuple[Floats, ...]

#: Share of the device's free memory that batches may take; the rest is for cuDNN's workspace, which is not foreseen.
SHARE_OF_DEVICE = 0.8

#: What a network that computes probabilities in float16 may be beyond 0 and 1.
ROUNDING_OF_PROBABILITY = float(np.finfo(np.float16).eps)

#: More tiles at a time gain nothing that is measured, but wait in the host's memory.
MOST_TILES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one fold says about one batch.

    Attributes
    ----------
    values
        The outputs that are read, float32; those over a tile have five axes.
    flips
        Axes of (batch, channel, slice, row, column) along which the tiles were mirrored.
    last
        Whether all folds and mirrors of the batch have spoken.
    """

    values: Values
    flips: tuple[int, ...]
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """One fold: its session, its inputs with the image in front, and its batch where that is fixed (else 0)."""

    session: InferenceSession
    inputs: tuple[Any, ...]
    batch: int


class Ensemble:
    """A model ready to run for one job.

    Parameters
    ----------
    features
        Numbers that the model takes beside the image, by name.

    Raises
    ------
    ModelError
        If a network is missing, is not the declared one, cannot be loaded, or does not fit its description.
    Unsuitable
        If a number that the model needs is missing.
    """

    def __init__(self, spec: ModelSpec, sessions: Sessions, features: Mapping[str, float] | None = None) -> None:
        self.spec = spec
        self.scratch = sessions.scratch
        self._sessions = sessions
        self._features = _vector(spec, features or {})
        self._on_cpu = sessions.on_cpu
        self._most = max(MOST_TILES, spec.tile.batch)
        self._warnings = [sessions.lacking] if sessions.lacking else []
        self._members = {weights: self._member(weights) for weights in spec.weights}
        # onnxruntime leaves a provider out without a word when its libraries do not load.
        if not self._on_cpu and self._first.session.get_providers()[0] == CPU:
            self._fall_back("the libraries of the graphics card cannot be loaded")

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the CPU was used though a graphics card was asked for; empty if it was not."""
        return tuple(f"computed on the CPU: {reason}" for reason in self._warnings)

    @property
    def channels(self) -> int:
        """How many channels the output has."""
        # A length that the network leaves open is the usual one.
        name = outputs_of(self.spec)[-1]
        (value,) = [value for value in self._first.session.get_outputs() if value.name == name]
        found = value.shape[1]
        return found if isinstance(found, int) else channels_of(self.spec)[0]

    @property
    def replies(self) -> int:
        """How many replies come for every batch: folds times mirrors."""
        return int(len(self.spec.weights) * 2 ** len(self.spec.tile.mirror))

    def batch(self, tile: Callable[[], Floats]) -> int:
        """How many tiles to run at a time.

        Parameters
        ----------
        tile
            Cuts one tile, (channel, slice, row, column), to try what it takes.
        """
        if self.spec.task is Task.DETECT:
            return 1
        if self.spec.tile.batch:
            return self.spec.tile.batch
        if self._first.batch:
            return self._first.batch
        before = None if self._on_cpu else free_device_bytes()
        if before is None:
            return 1
        self.run(self.spec.weights[0], tile()[None])
        after = free_device_bytes()
        if self._on_cpu or after is None:
            return 1
        # The first tile stays in the device's arena, so `before - after` is what one takes.
        return int(np.clip(1 + SHARE_OF_DEVICE * after / max(before - after, 1), 1, MOST_TILES))

    def stream(self, batches: Iterable[Floats]) -> Iterator[Reply]:
        """Replies to batches of tiles (batch, channel, slice, row, column), in order.

        The next batch runs while the caller works on the last reply.
        """
        calls = (
            (partial(self.run, weights, tiles), flips, (place + 1) == self.replies)
            for batch in batches
            for place, (flips, tiles, weights) in enumerate(self._turns(batch))
        )
        with ThreadPoolExecutor(1) as pool:
            ahead = None
            for call, flips, last in calls:
                future = pool.submit(call)
                if ahead is not None:
                    yield Reply(values=ahead[0].result(), flips=ahead[1], last=ahead[2])
                ahead = (future, flips, last)
            if ahead is not None:
                yield Reply(values=ahead[0].result(), flips=ahead[1], last=ahead[2])

    def run(self, weights: Weights, tiles: Floats) -> Values:
        """The outputs of one fold for a batch of tiles.

        Where the graphics card has too little memory, the batch is halved; where it fails altogether, the rest of the
        job runs on the CPU. A network of a fixed batch gets its last one filled up with empty tiles.

        Raises
        ------
        Unsuitable
            If the processor's memory does not suffice.
        ModelError
            If the runtime fails or the result is not what the bundle declares, or not finite.
        """
        parts = []
        start = 0
        while start < len(tiles):
            fixed = self._members[weights].batch
            part = tiles[start : start + (fixed or self._most)]
            try:
                parts.append(self._run(weights, part))
            except RUNTIME_ERRORS as error:
                if memory_is_short(error) and len(part) > 1 and not fixed:
                    self._most = len(part) // 2
                elif not self._on_cpu:
                    self._fall_back(f"the graphics card failed ({words(error)})")
                elif memory_is_short(error):
                    raise Unsuitable(
                        f"model {self.spec.name}: memory ran out ({words(error)}), needed more for a tile of this size"
                    ) from error
                else:
                    with mapped(self.spec):
                        raise
                continue
            start += len(part)
        whole = parts[0] if len(parts) == 1 else tuple(np.concatenate(values) for values in zip(*parts, strict=True))
        self._require_sound(whole, len(tiles))
        return whole

    def _run(self, weights: Weights, tiles: Floats) -> Values:
        member, count = self._members[weights], len(tiles)
        if count < member.batch:
            tiles = np.concatenate([tiles, np.zeros((member.batch - count, *tiles.shape[1:]), dtype=np.float32)])
        image, *others = member.inputs
        flat = len(image.shape) == tiles.ndim - 1
        feeds = {image.name: _as(image, tiles[:, :, 0] if flat else tiles)}
        for value in others:
            feeds[value.name] = _as(value, np.repeat(self._features[None], len(tiles), axis=0))
        wanted = outputs_of(self.spec)
        session = member.session
        values = session.run(wanted, feeds) if self._on_cpu else run_bound(session, "cuda", feeds, wanted)
        if len(tiles) > count:
            values = [value[:count] for value in values]
        return tuple(
            (value[:, :, None] if self.spec.task is Task.SEGMENT and value.ndim == tiles.ndim - 1 else value).astype(
                np.float32, copy=False
            )
            for value in values
        )

    @property
    def _first(self) -> _Member:
        return self._members[self.spec.weights[0]]

    def _member(self, weights: Weights) -> _Member:
        session = self._sessions.load(self.spec, weights, on_cpu=self._on_cpu)
        inputs = sorted(session.get_inputs(), key=lambda value: value.name != self.spec.network.input)
        return _Member(session=session, inputs=tuple(inputs), batch=fixed_batch(session, self.spec))

    def _turns(self, batch: Floats) -> Iterator[tuple[tuple[int, ...], Floats, Weights]]:
        """A batch in all its mirrors, for every fold."""
        axes = [axis + 2 for axis in self.spec.tile.mirror]
        for flips in (chosen for count in range(len(axes) + 1) for chosen in combinations(axes, count)):
            tiles = np.ascontiguousarray(np.flip(batch, flips)) if flips else batch
            for weights in self.spec.weights:
                yield flips, tiles, weights

    def _fall_back(self, reason: str) -> None:
        self._on_cpu = True
        self._members = {weights: self._member(weights) for weights in self.spec.weights}
        self._warnings.append(reason)
        self._sessions.tell(reason)

    def _require_sound(self, values: Values, count: int) -> None:
        spec, names = self.spec, outputs_of(self.spec)
        for name, value in zip(names, values, strict=True):
            if not np.isfinite(value).all():
                raise ModelError(f"model {spec.name}: {name} holds values that are not finite, needed numbers")
        if spec.activation == NONE and spec.task is not Task.SCORE:
            _require_probabilities(values[-1], f"model {spec.name}: {names[-1]}")
        if spec.task is Task.DETECT:
            boxes, scores = values
            if boxes.shape[1:] != (6,) or scores.shape != (len(boxes), self.channels):
                raise ModelError(
                    f"model {spec.name}: {names[0]} of shape {boxes.shape} and {names[1]} of shape {scores.shape}, "
                    f"needed (boxes, 6) and (boxes, {self.channels})"
                )
            if (boxes[:, :3] > boxes[:, 3:]).any():
                raise ModelError(
                    f"model {spec.name}: {names[0]} holds a box whose low corner lies beyond its high one, needed "
                    "(low slice, low row, low column, high slice, high row, high column)"
                )
            return
        tile = spec.tile.shape if spec.task is Task.SEGMENT else ()
        needed = (count, self.channels, *tile)
        if values[0].shape != needed:
            raise ModelError(f"model {spec.name}: {names[0]} of shape {values[0].shape}, needed {needed}")


def run_bound(
    session: InferenceSession, device: str, feeds: Mapping[str, npt.NDArray[Any]], wanted: Iterable[str]
) -> list[npt.NDArray[Any]]:
    """Run with inputs and outputs bound to a device, so that nothing moves but the tiles and their answers."""
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(name, OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), device, 0))
    for name in wanted:
        # The runtime allocates: the length of a detector's list is not known before.
        binding.bind_output(name, device)
    session.run_with_iobinding(binding)
    values: list[npt.NDArray[Any]] = binding.copy_outputs_to_cpu()
    return values


def _as(value: Any, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array.astype(np.float16 if value.type == "tensor(float16)" else np.float32, copy=False)


def _require_probabilities(values: Floats, subject: str) -> None:
    """What is taken as probabilities without an activation has to be some; what rounding adds is cut off."""
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())
    if low < -ROUNDING_OF_PROBABILITY or high > 1 + ROUNDING_OF_PROBABILITY:
        raise ModelError(
            f"{subject} holds values from {low:.4g} to {high:.4g}, needed probabilities in 0..1 with "
            'activation = "none": write softmax or sigmoid if these are logits'
        )
    if low < 0 or high > 1:
        np.clip(values, 0, 1, out=values)


def _vector(spec: ModelSpec, features: Mapping[str, float]) -> Floats:
    """The numbers in the order of the bundle."""
    if missing := [name for name in spec.features if name not in features]:
        raise Unsuitable(f"model {spec.name}: no {', '.join(missing)} known, needed for its answer")
    vector = np.array([features[name] for name in spec.features], dtype=np.float32)
    if not np.isfinite(vector).all():
        odd = [name for name, value in zip(spec.features, vector, strict=True) if not np.isfinite(value)]
        raise Unsuitable(f"model {spec.name}: {', '.join(odd)} is not finite, needed a number")
    return vector
