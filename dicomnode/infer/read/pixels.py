"""The stored values of frames: read straight from the file where they are native, else decoded, each object once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import JPEG2000TransferSyntaxes

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.bounds import require_codestream
from dicomnode.infer.read.compressed import is_guarded, values_of
from dicomnode.infer.read.faults import reading
from dicomnode.infer.read.frame import Frame
from dicomnode.infer.read.geometry import SAME_POSITION_MM
from dicomnode.infer.read.image import Image
from dicomnode.infer.read.padding import Outside, Values, padding_of


def parsed(image: Image) -> Dataset:
    """The whole object with its encoded pixels.

    Raises
    ------
    Unsuitable
        If it is cut short.
    """
    with _decoding(image):
        # Given a path, the decoders of pydicom 3.0 forget to inflate deflated data sets.
        return dcmread(image.path)


def stored_values(frames: Sequence[Frame], dataset: Dataset | None = None) -> Iterator[tuple[Frame, Values, Outside]]:
    """Stored pixel values before rescaling, (row, column), unused bits cleared (PS3.5 8.1.1), and where they are none.

    Padding is looked for with the unused bits, too: old writers put it into cells of 16 bits whose values have 12.

    Parameters
    ----------
    frames
        Of one object. One frame at a time is held.
    dataset
        What `parsed` made of it, where the caller has it.

    Raises
    ------
    Unsuitable
        If they are cut short or no decoder can read them.
    """
    image = frames[0].image
    places = [(frame.number or 1) - 1 for frame in frames]
    found = _decoded(image, places, dataset) if image.native is None else _native(image, places, *image.native)
    for frame, values in zip(frames, found, strict=True):
        if values.shape != (image.rows, image.columns):
            raise Unsuitable(f"{frame.subject}: pixels of shape {values.shape}, needed {(image.rows, image.columns)}")
        outside = padding_of(frame, values)
        if image.cells and not _is_clear(image, values):
            values = _cleared(image, values)
            cleared = padding_of(frame, values)
            outside = cleared if outside is None else outside if cleared is None else outside | cleared
        yield frame, values, outside


def same_pixels(frames: Sequence[Frame]) -> bool:
    """Whether frames show the same values at the same place."""
    first, *others = frames
    ((_, values, _),) = stored_values([first])
    return all(
        frame.rescale.same(first.rescale)
        and np.allclose(frame.position_mm, first.position_mm, rtol=0, atol=SAME_POSITION_MM)
        and all(np.array_equal(other, values) for _, other, _ in stored_values([frame]))
        for frame in others
    )


def _native(image: Image, places: Sequence[int], start: int, length: int) -> Iterator[Values]:
    with image.path.open("rb", buffering=0) as file:
        kind = np.dtype(f"<{image.kind}{image.bits_allocated // 8}")
        for place in places:
            offset = place * image.rows * image.columns * kind.itemsize
            if offset >= length:
                raise Unsuitable(f"{image.subject}: {length} bytes of pixel data, needed more than {offset}")
            values = np.empty((image.rows, image.columns), dtype=kind)
            file.seek(start + offset)
            got = max(0, min(_read(file, values.data.cast("B")), length - offset))
            if got < values.nbytes:
                raise Unsuitable(
                    f"{image.subject}: {offset + got} bytes of pixel data, needed {offset + values.nbytes}"
                )
            yield values


def _read(file: Any, buffer: memoryview) -> int:
    """Fill a buffer as far as the file goes; one call of the system reads 2 GiB at most."""
    done = 0
    while done < len(buffer):
        got = file.readinto(buffer[done:])
        if not got:
            break
        done += got
    return done


def _decoded(image: Image, places: Sequence[int], dataset: Dataset | None) -> Iterator[Values]:
    source = parsed(image) if dataset is None else dataset
    guarded, wanted = is_guarded(image), dict[int, bytes]()
    for place, codestream in _codestreams(image, places, source):
        # Decoders would take memory for whatever a codestream says.
        require_codestream(image.subject, codestream, image.rows, image.columns)
        if guarded:
            wanted[place] = codestream
    if guarded:
        for place in places:
            if place not in wanted:
                raise Unsuitable(f"{image.subject}: {len(wanted)} frames of pixel data, needed number {place + 1}")
            yield values_of(image, wanted[place])
        return
    # Where pydicom would try GDCM first, too.
    plugin = "pylibjpeg" if image.dataset.file_meta.TransferSyntaxUID in JPEG2000TransferSyntaxes else ""
    with _decoding(image):
        frames: Iterable[Values] = iter_pixels(
            source, raw=True, indices=places if image.frames > 1 else None, decoding_plugin=plugin
        )
        # An offset table may list more frames than the header.
        yield from islice(frames, len(places))


def _codestreams(image: Image, places: Sequence[int], dataset: Dataset) -> Iterator[tuple[int, bytes]]:
    """Those at the places, each with its place; none where frames are not encapsulated."""
    with _decoding(image):
        if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            return
        offsets = None
        if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
            offsets = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
        frames = generate_frames(dataset.PixelData, number_of_frames=image.frames, extended_offsets=offsets)
        wanted = set(places)
        for place, frame in enumerate(islice(frames, max(places) + 1)):
            if place in wanted:
                yield place, frame


def _decoding(image: Image) -> AbstractContextManager[None]:
    syntax = image.dataset.file_meta.TransferSyntaxUID
    return reading(image.subject, f"needed pixels that can be decoded (transfer syntax {syntax.name})")


def _is_clear(image: Image, values: Values) -> bool:
    """Whether no unused bit says anything, which is cheaper to see than to bring about."""
    if image.bits_stored == image.bits_allocated:
        return True
    if image.high_bit != image.bits_stored - 1:
        return False
    if image.kind == "u":
        return int(values.max()) >> image.bits_stored == 0
    limit = 1 << (image.bits_stored - 1)
    return -limit <= int(values.min()) and int(values.max()) < limit


def _cleared(image: Image, values: Values) -> Values:
    above = image.bits_allocated - 1 - image.high_bit
    unused = image.bits_allocated - image.bits_stored
    if unused:
        # Shifting up and back drops what lies above the high bit and extends the sign of signed values.
        values = np.left_shift(values, above, out=values if values.flags.writeable else None)
        np.right_shift(values, unused, out=values)
    return values
