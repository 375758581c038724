"""A volume of probabilities or saliencies as a Parametric Map on the grid of its source."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import numpy as np
from highdicom import PlanePositionSequence, VOILUTFunctionValues, VOILUTTransformation, Volume
from highdicom.pm import ParametricMap, RealWorldValueMapping
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from dicomnode.domain.code import Code
from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, ProbabilityMap, Provenance, SourceSeries
from dicomnode.domain.model import Segment
from dicomnode.domain.uid import ResultUids, derived_uid
from dicomnode.report.bodypart import tell_body_part
from dicomnode.report.boundary import encoding
from dicomnode.report.code import coded
from dicomnode.report.frames import position
from dicomnode.report.identity import plain
from dicomnode.report.normalise import normalised
from dicomnode.report.provenance import equipment, series_number, shortened, stamp
from dicomnode.report.references import derive_frames, refer_to_source

ROLE = "map"

#: Quantities and their unit (PS3.16 Annex D, CID 7180; UCUM's unity).
PROBABILITY = Code(value="122157", scheme="DCM", meaning="Probability")
CLASS_ACTIVATION = Code(value="130403", scheme="DCM", meaning="Gradient-weighted class activation")
SALIENCY = Code(value="130404", scheme="DCM", meaning="Saliency")
NO_UNITS = Code(value="1", scheme="UCUM", meaning="no units")

#: Greatest stored value of 16 bits.
_MOST = 2**16 - 1

#: Affines that are one and the same but for the rounding of double precision, over a metre.
_SAME_GRID_MM = 1e-6


class Stored(StrEnum):
    """How values are stored: as they are, or in 65 535 even steps over their range.

    Steps take half the space, and readers without floating point know them.
    """

    FLOAT32 = "float32"
    UINT16 = "uint16"


def write(
    volume: Volume,
    concept: Code,
    unit: Code,
    findings: Findings,
    provenance: Provenance,
    uids: ResultUids,
    *,
    segment: Segment | None = None,
    stored: Stored = Stored.FLOAT32,
    slope: float = 1.0,
) -> Dataset:
    """A Parametric Map (PS3.3 A.75) with one frame per source image and a linear Real World Value Mapping.

    The same arguments give the same bytes.

    Parameters
    ----------
    volume
        float32 on the grid of the source volume, axes (slice, row, column); or uint16, which is stored as it is.
    concept
        The quantity, such as `PROBABILITY`.
    unit
        Its UCUM unit.
    segment
        What it is the probability or saliency of; None where that cannot be told. Every segment has a map, and thus
        UIDs, of its own.
    slope
        What one step of uint16 is worth.

    Returns
    -------
    The object in Explicit VR Little Endian.

    Raises
    ------
    EncodingError
        If the source mixes patients or series or lacks a frame of reference, and for values that are not finite or
        lie on another grid.
    """
    source = findings.source
    values = on_images(volume, source)
    (header,) = normalised(source, (0,))
    with encoding(f"parametric map of series {header.SeriesInstanceUID}"):
        stored = Stored.UINT16 if values.dtype == np.uint16 else stored
        pixels, mapping, window = _stored(values, slope, stored)
        what = f"{concept.meaning}: {segment.label}" if segment else concept.meaning
        positions = [PlanePositionSequence("PATIENT", position(plane)) for plane in source.planes]
        planes = {_point(place[0]): plane for place, plane in zip(positions, source.planes, strict=True)}
        result = ParametricMap(
            # One image is enough for patient, orientation and pixel measures; the references are written below.
            source_images=[plain(header)],
            plane_positions=positions,
            pixel_array=pixels,
            series_instance_uid=uids.series(ROLE),
            series_number=series_number(ROLE, provenance.rule),
            sop_instance_uid=uids.instance(_role(concept, segment, stored)),
            instance_number=segment.number if segment else 1,
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[
                RealWorldValueMapping(
                    lut_label=shortened(segment.label if segment else concept.meaning, 16),
                    lut_explanation=shortened(what),
                    unit=coded(unit),
                    quantity_definition=coded(concept),
                    **mapping,
                )
            ],
            voi_lut_transformations=[
                # Other functions have no windows narrower than one (PS3.3 C.11.2.1.2), as probabilities need.
                VOILUTTransformation(*window, voi_lut_function=VOILUTFunctionValues.LINEAR_EXACT)
            ],
            transfer_syntax_uid=ExplicitVRLittleEndian,
            content_label="AI_MAP",
            content_description=shortened(what),
            specific_character_set="ISO_IR 192",
            **equipment(provenance),
        )
        refer_to_source(result, source)
        frames = result.PerFrameFunctionalGroupsSequence
        derive_frames(frames, [planes[_point(frame.PlanePositionSequence[0])] for frame in frames])
        derivation = Items([coded(codes.DCM.UnspecifiedMethodOfCalculation)])
        for frame in frames:
            frame.DerivationImageSequence[0].DerivationCodeSequence = derivation
        stamp(result, header, provenance, ROLE)
        tell_body_part(result, header)
        uid = derived_uid("dimension organization", result.SOPInstanceUID)
        for item in (*result.DimensionOrganizationSequence, *result.DimensionIndexSequence):
            item.DimensionOrganizationUID = uid
    return result


def maps_of(findings: Findings, provenance: Provenance, uids: ResultUids) -> Iterator[tuple[ProbabilityMap, Dataset]]:
    """The probabilities behind the mask, one object for each segment that the network tells apart.

    Raises
    ------
    EncodingError
        As `write`.
    """
    for one in findings.maps:
        yield (
            one,
            write(one.volume, PROBABILITY, NO_UNITS, findings, provenance, uids, segment=one.segment, slope=one.slope),
        )


def on_images(volume: Volume, source: SourceSeries) -> NDArray[Any]:
    """Values as the source images show them, (plane, row, column): uint16 as it is, else float32.

    Raises
    ------
    EncodingError
        For values that are not finite or lie on another grid than the source volume.
    """
    needed = source.volume
    apart_mm = float(np.abs(np.asarray(volume.affine) - np.asarray(needed.affine)).max())
    if volume.spatial_shape != needed.spatial_shape or apart_mm > _SAME_GRID_MM:
        raise EncodingError(
            f"parametric map: found a grid of {volume.spatial_shape}, {apart_mm:.2g} mm apart, needed the source's of "
            f"{needed.spatial_shape}"
        )
    # Annotated for label maps, and true of every type: it moves voxels and makes none.
    shown: NDArray[Any]
    if volume.dtype == np.uint16:
        shown = source.on_planes(volume.array)
        return shown
    values = np.asarray(volume.array, dtype=np.float32)
    unknown = values.size - np.count_nonzero(np.isfinite(values))
    if unknown:
        raise EncodingError(f"parametric map: found {unknown} values that are not finite, needed none")
    shown = source.on_planes(values)  # type: ignore[arg-type]
    return shown


def _role(concept: Code, segment: Segment | None, stored: Stored) -> str:
    return f"{ROLE} {concept.scheme} {concept.value} {segment.number if segment else 0} {stored}"


def _stored(
    values: NDArray[np.float32] | NDArray[np.uint16], slope: float, stored: Stored
) -> tuple[NDArray[np.float32] | NDArray[np.uint16], dict[str, Any], tuple[float, float]]:
    """Pixels, what maps them to values (as arguments of highdicom's), and the window, centre and width, of them all."""
    mapping: dict[str, Any] = {"value_range": (0, _MOST), "slope": slope, "intercept": 0.0}
    if values.dtype == np.uint16:
        return values, mapping, (_MOST / 2, float(_MOST))
    low, high = float(values.min()), float(values.max())
    if stored is Stored.FLOAT32:
        # A window has to be wider than nothing (PS3.3 C.11.2.1.2.1).
        return values, {"value_range": (low, high)}, ((low + high) / 2, (high - low) or 1.0)
    slope = (high - low) / _MOST or 1.0
    pixels = np.empty(values.shape, dtype=np.uint16)
    for plane, of_plane in zip(pixels, values, strict=True):
        plane[...] = np.rint((of_plane.astype(np.float64) - low) / slope)
    mapping |= {"slope": slope, "intercept": low}
    return pixels, mapping, (_MOST / 2, float(_MOST))


def _point(dataset: Dataset) -> tuple[float, ...]:
    return tuple(float(coordinate) for coordinate in dataset.ImagePositionPatient)
