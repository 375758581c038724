"""What the channels of an nnU-Net network mean, by its dataset.json: labels that exclude each other, or regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dicomnode.train.importing.faults import need, refuse

_WHERE = "dataset.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Channels of the output without background, in order.

    Attributes
    ----------
    names
        As the data set calls them.
    holds
        The labels of the reference that each channel stands for: one, or all of a region.
    regions
        Whether channels are regions that may overlap, of which the last that passes 0.5 counts.
    written
        The label that a voxel of each channel gets in nnU-Net's own mask.
    """

    names: tuple[str, ...]
    holds: tuple[tuple[int, ...], ...]
    regions: bool
    written: tuple[int, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """What a voxel of each channel is called in a mask: a region is without those behind it that overlap it."""
        return tuple(self._part(number) for number in range(len(self.names)))

    def _part(self, number: int) -> str:
        own = {*self.holds[number]}
        rest = zip(self.names[number + 1 :], self.holds[number + 1 :], strict=True)
        behind = {name: {*held} for name, held in rest if own & {*held}}
        outer = [name for name, held in behind.items() if not any(held < other for other in behind.values())]
        return "_without_".join([self.names[number], *(["_and_".join(outer)] if outer else [])])

    @property
    def seen(self) -> tuple[int, ...]:
        """Channels of 0 and 1 that the next stage of a cascade gets, by numbers of segments here; 0 for an empty one.

        nnU-Net makes one of every label of the reference (`foreground_labels`), though no region may be written as it.
        """
        labels = sorted({label for held in self.holds for label in held} - {0})
        written = self.written or tuple(range(1, len(self.names) + 1))
        return tuple(written.index(label) + 1 if label in written else 0 for label in labels)

    @property
    def heads(self) -> int:
        """Channels of the network's output."""
        return len(self.names) + (not self.regions)


def labels_of(dataset: Mapping[str, Any]) -> Labels:
    """The labels of a data set.

    Raises
    ------
    ConfigError
        If they are not those of nnU-Net v2.
    """
    table = need(dataset, "labels", dict, _WHERE)
    if "background" not in table:
        refuse(f"{_WHERE}: labels", list(table)[:5], "no background, needed names and numbers as of nnU-Net v2")
    kept = {name: value for name, value in table.items() if name != "ignore" and not _is_background(value)}
    if not kept:
        refuse(f"{_WHERE}: labels", list(table), "nothing but background, needed a label")
    if any(isinstance(value, list) and len(value) > 1 for value in kept.values()):
        order = need(dataset, "regions_class_order", list, _WHERE)
        if len(order) != len(kept) or not all(isinstance(one, int) for one in order):
            refuse(f"{_WHERE}: regions_class_order", order, f"needed a number for each of {len(kept)} regions")
        holds = tuple(_numbers(*one) for one in kept.items())
        return Labels(names=tuple(kept), holds=holds, regions=True, written=tuple(order))
    numbers = {name: _number(name, value) for name, value in kept.items()}
    names = sorted(numbers, key=lambda name: numbers[name])
    if [numbers[name] for name in names] != list(range(1, len(names) + 1)):
        refuse(f"{_WHERE}: labels", sorted(numbers.values()), f"needed 1 to {len(names)}, each once")
    return Labels(names=tuple(names), holds=tuple((numbers[name],) for name in names), regions=False)


def channels_of(dataset: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the input channels, in order.

    Raises
    ------
    ConfigError
        If they are not numbered from 0.
    """
    key = "channel_names" if "channel_names" in dataset else "modality"
    table = need(dataset, key, dict, _WHERE)
    if sorted(table) != sorted(str(number) for number in range(len(table))) or not table:
        refuse(f"{_WHERE}: {key}", list(table), 'needed "0", "1" and so on')
    return tuple(str(table[str(number)]) for number in range(len(table)))


def _is_background(value: Any) -> bool:
    return value in (0, "0") or (isinstance(value, list) and {*value} == {0})


def _numbers(name: str, value: Any) -> tuple[int, ...]:
    return tuple(_number(name, one) for one in (value if isinstance(value, list) else [value]))


def _number(name: str, value: Any) -> int:
    (only,) = value if isinstance(value, list) and len(value) == 1 else (value,)
    if not isinstance(only, int):
        refuse(f"{_WHERE}: labels.{name}", value, "needed a whole number")
    return only
