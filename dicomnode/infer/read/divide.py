"""Divides images of one geometry into stacks by the attributes that separate complete ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dicomnode.infer.read.geometry import by_position, gaps_are_even
from dicomnode.infer.read.separators import LAST_SEPARATORS, ORDERS, SEPARATORS, Separator

#: Fewer slices than this are even whatever their distances, so that evenness proves nothing.
_LEAST_SLICES = 3

#: Slices thicker than their spacing by this overlap by a third. Parts that interleave double the overlap of each at
#: least, so that abutting slices (1.0) come to 2.0 and lie clear of it.
_TOO_THICK = 1.5

Depths = npt.NDArray[np.float64]
Part = tuple[list[int], list[str]]


class Described(Protocol):
    """Anything that knows its attributes: a stored header, or a frame that was read."""

    def values(self, keyword: str) -> tuple[Any, ...]:
        """Values of an attribute, empty ones left out."""
        ...


def divide(images: Sequence[Described], depths: Depths) -> list[Part]:
    """Divide images of one size, spacing and orientation into stacks.

    Where positions hold several images, the first attribute is taken that sorts them into stacks, and again within
    these. Where every position holds one, only attributes that never change within a stack divide, and only into
    even stacks which interleave or are not even together; the others divide CT and PET images that are too thick for
    the stack that they would form together. Where no attribute sorts equally many images per position, a number that
    orders them does, and at last an attribute that sorts them into even stacks of different extent.

    Parameters
    ----------
    images
        Whatever knows its attributes.
    depths
        Place of each along the normal, in mm.

    Returns
    -------
    list of (indices, words)
        In order of the values that divide; a part without a way to divide it stays whole.
    """
    bins = _positions(depths)
    names = dict.fromkeys(label for image in images[:1] for label in getattr(image, "dimensions", ()))
    own = tuple(Separator(name=name, keywords=(name,), before="index") for name in names)
    return list(_divide(images, list(range(len(images))), bins, depths, (*SEPARATORS, *own, *LAST_SEPARATORS), []))


def _divide(
    images: Sequence[Described],
    indices: list[int],
    bins: npt.NDArray[np.intp],
    depths: Depths,
    separators: tuple[Separator, ...],
    words: list[str],
) -> Iterator[Part]:
    crowded = _crowded(bins[indices])
    for separator in separators:
        values = _partition(images, indices, separator)
        parts = list(values.values())
        if len(parts) < 2 or len(parts) == len(indices):
            continue
        if crowded:
            divides = _sorts(parts, bins, separator.strong and separator.adjacent)
        elif separator.strong:
            divides = _are_apart(parts, depths, separator.adjacent)
        else:
            divides = _are_too_thick(images, parts, depths)
        if divides:
            yield from _parts(images, values, separator, bins, depths, separators, words)
            return
    if not crowded:
        yield indices, words
        return
    ordered = list(_in_order(images, indices, bins, words))
    if ordered:
        yield from ordered
        return
    for separator in separators:
        values = _partition(images, indices, separator)
        if len(values) > 1 and _stand_alone(list(values.values()), bins, depths):
            yield from _parts(images, values, separator, bins, depths, separators, words)
            return
    yield indices, words


def _parts(
    images: Sequence[Described],
    values: dict[Any, list[int]],
    separator: Separator,
    bins: npt.NDArray[np.intp],
    depths: Depths,
    separators: tuple[Separator, ...],
    words: list[str],
) -> Iterator[Part]:
    rest = tuple(other for other in separators if other is not separator)
    for place, (value, part) in enumerate(values.items(), start=1):
        label = separator.label(place, len(values), value)
        yield from _divide(images, part, bins, depths, rest, [*words, label])


def _sorts(parts: Sequence[Sequence[int]], bins: npt.NDArray[np.intp], strong: bool) -> bool:
    """Whether parts hold fewer images per position than the whole, and are stacks, not single images."""
    whole = bins[[index for part in parts for index in part]]
    sizes = [len(set(bins[part].tolist())) for part in parts]
    everywhere = len(set(whole.tolist()))
    if min(sizes) < min(2, everywhere) or sum(_crowded(bins[part]) for part in parts) >= _crowded(whole):
        return False
    # An interrupted run leaves its last time point incomplete; an attribute that leaves most so does not sort by time.
    return strong or 2 * sum(size == everywhere for size in sizes) >= len(parts)


def _are_apart(parts: Sequence[Sequence[int]], depths: Depths, adjacent: bool) -> bool:
    """Whether parts, with one image at each position of all, are even stacks which are not one stack in pieces."""
    if not _are_even(parts, depths):
        return False
    ends = sorted((float(depths[part].min()), float(depths[part].max())) for part in parts)
    interleaved = any(upper[0] < lower[1] for lower, upper in pairwise(ends))
    return interleaved or (adjacent and not gaps_are_even(np.sort(depths[[index for part in parts for index in part]])))


def _are_even(parts: Sequence[Sequence[int]], depths: Depths) -> bool:
    return min(len(part) for part in parts) >= _LEAST_SLICES and all(
        gaps_are_even(np.sort(depths[part])) for part in parts
    )


def _are_too_thick(images: Sequence[Described], parts: Sequence[Sequence[int]], depths: Depths) -> bool:
    """Whether parts are even stacks through the whole range whose slices overlap only because they lie in one another.

    Two phases whose tables stood half a slice apart look like one stack of half the spacing, but each slice is as thick
    as its own phase is spaced. Packages of an MR acquisition interleave so, too, and are one stack.
    """
    whole = np.sort(depths[[index for part in parts for index in part]])
    if not _are_even(parts, depths) or images[parts[0][0]].values("Modality")[:1] not in {("CT",), ("PT",)}:
        return False
    for part in parts:
        own = np.sort(depths[part])
        spacing = (own[-1] - own[0]) / (len(own) - 1)
        if own[0] - whole[0] >= spacing or whole[-1] - own[-1] >= spacing:
            return False
    thickness = _numbers(images, [index for part in parts for index in part], "SliceThickness")
    together = (whole[-1] - whole[0]) / (len(whole) - 1)
    return thickness is not None and bool(thickness.min() >= _TOO_THICK * together)


def _stand_alone(parts: Sequence[Sequence[int]], bins: npt.NDArray[np.intp], depths: Depths) -> bool:
    """Whether parts are even stacks with one image per position, none of which continues another."""
    if any(_crowded(bins[part]) for part in parts) or not _are_even(parts, depths):
        return False
    return all(
        _crowded(bins[[*one, *other]]) or not gaps_are_even(np.sort(depths[[*one, *other]]))
        for one, other in combinations(parts, 2)
    )


def _in_order(
    images: Sequence[Described], indices: list[int], bins: npt.NDArray[np.intp], words: list[str]
) -> Iterator[Part]:
    """Divide n images per position by a number that orders them, all of one set before the next or set by set.

    Gives nothing where no number does.
    """
    _, counts = np.unique(bins[indices], return_counts=True)
    count = int(counts[0])
    if (counts == count).all() and len(counts) > 1:
        for keyword, name in ORDERS:
            numbers = _numbers(images, indices, keyword)
            if numbers is None:
                continue
            by_place = np.lexsort((numbers, bins[indices])).reshape(len(counts), count)
            table = numbers[by_place]
            distinct = (np.diff(table, axis=1) > 0).all()
            by_set = (table[:, :-1].max(axis=0) < table[:, 1:].min(axis=0)).all()
            ordered = table[np.argsort(table[:, 0])]
            if distinct and (by_set or (ordered[:-1, -1] < ordered[1:, 0]).all()):
                for place, column in enumerate(by_place.T, start=1):
                    label = f"set {place} of {count} (by {name})"
                    yield sorted(indices[index] for index in column), [*words, label]
                return


def _partition(images: Sequence[Described], indices: Sequence[int], separator: Separator) -> dict[Any, list[int]]:
    found: dict[Any, list[int]] = {}
    for index in indices:
        value: tuple[Any, ...] = ()
        for keyword in separator.keywords:
            value = images[index].values(keyword)
            if value:
                break
        found.setdefault(tuple(_plain(one) for one in value), []).append(index)
    return dict(sorted(found.items(), key=lambda item: [_sort_key(one) for one in item[0]]))


def _plain(value: Any) -> Any:
    if isinstance(value, int | float):
        return float(value)
    return str(value)


def _sort_key(value: Any) -> tuple[float, str]:
    return (value, "") if isinstance(value, float) else (0.0, value)


def _numbers(images: Sequence[Described], indices: Sequence[int], keyword: str) -> Depths | None:
    values = [images[index].values(keyword)[:1] for index in indices]
    try:
        return np.array([float(value) for (value,) in values])
    except (TypeError, ValueError):
        return None


def _positions(depths: Depths) -> npt.NDArray[np.intp]:
    """Number of the position at which each image lies."""
    bins = np.empty(len(depths), dtype=np.intp)
    for place, indices in enumerate(by_position(depths)):
        bins[indices] = place
    return bins


def _crowded(bins: npt.NDArray[np.intp]) -> int:
    """Images beyond one per position."""
    return len(bins) - len(np.unique(bins))
