"""Reads a written parametric map back by another way than it was made and holds it against its volume."""

from __future__ import annotations

import math
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from highdicom import Volume
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from dicomnode.domain.code import Code
from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings
from dicomnode.report.boundary import encoding
from dicomnode.report.check import deviation_mm
from dicomnode.report.contour_check import covered
from dicomnode.report.placed import check_corners, planes_of_frames

#: Of a step of the stored values: half of one by rounding, and some of the last bit of float32.
_TOLERANCE_STEPS = 0.51


def verify(encoded: bytes, volume: Volume, concept: Code, findings: Findings, *, slope: float = 1.0) -> None:
    """Compare a map, frame by frame from its own positions and stored values, with the volume that it should show.

    Parameters
    ----------
    encoded
        The complete file.
    volume
        What was written, on the grid of the source volume.
    concept
        The quantity that it should name.
    slope
        What one step of the volume's numbers is worth.

    Raises
    ------
    EncodingError
        For another frame of reference, quantity, grid, place or value; and for a file that cannot be read.
    """
    slack_mm = deviation_mm(findings)
    with encoding("parametric map read back"):
        written = dcmread(BytesIO(encoded))
        _check_shape(written, volume, findings)
        order = planes_of_frames("map", written, findings)
        shared = written.SharedFunctionalGroupsSequence[0]
        mapping = shared.RealWorldValueMappingSequence[0]
        _check_quantity(mapping, concept)
        check_corners("map", written, order, findings, slack_mm)
        frames, step = _frames(written, mapping)
        for index, found in zip(_each_once(order), frames, strict=True):
            needed_values = covered(volume.array, findings.source.tilt, index) * np.float64(slope)
            off = float(np.abs(found - needed_values).max())
            if off > _TOLERANCE_STEPS * step:
                raise EncodingError(f"map: found a value {off:.4g} off in frame {index + 1}, needed {step / 2:.4g}")


def _check_quantity(mapping: Dataset, concept: Code) -> None:
    named = [item.ConceptCodeSequence[0] for item in mapping.QuantityDefinitionSequence]
    found = {(str(code.CodingSchemeDesignator), str(code.CodeValue)) for code in named}
    if found != {(concept.scheme, concept.value)}:
        raise EncodingError(f"map: found quantity {sorted(found)}, needed {concept}")


def _check_shape(written: Dataset, volume: Volume, findings: Findings) -> None:
    frames, tilt = written.PerFrameFunctionalGroupsSequence, findings.source.tilt
    shape = tilt.shape if tilt else volume.spatial_shape[1:]
    if (len(frames), written.Rows, written.Columns) != (len(findings.source.planes), *shape):
        raise EncodingError(
            f"map: found {len(frames)} frames of {written.Rows} x {written.Columns}, needed "
            f"{len(findings.source.planes)} of {shape[0]} x {shape[1]}"
        )


def _each_once(order: list[int]) -> list[int]:
    if sorted(order) != list(range(len(order))):
        raise EncodingError(f"map: found frames of slices {sorted(order)}, needed each of {len(order)} once")
    return order


def _frames(written: Dataset, mapping: Dataset) -> tuple[Iterator[NDArray[np.float64]], float]:
    """Real world values of frame after frame, and the step between two of them."""
    shape = (int(written.NumberOfFrames), int(written.Rows), int(written.Columns))
    slope, intercept = float(mapping.RealWorldValueSlope), float(mapping.RealWorldValueIntercept)
    pixels = np.frombuffer(written.PixelData, dtype="<u2")[: math.prod(shape)].reshape(shape)
    return (frame * np.float64(slope) + intercept for frame in pixels), slope
