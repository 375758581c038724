"""A volume of probabilities as a Parametric Map on the grid of its source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

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

#: The quantity (PS3.16 Annex D) and its unit, UCUM's unity.
PROBABILITY = Code(value="122157", scheme="DCM", meaning="Probability")
NO_UNITS = Code(value="1", scheme="UCUM", meaning="no units")

#: Greatest stored value of 16 bits.
_MOST = 2**16 - 1

#: Affines that are one and the same but for the rounding of double precision, over a metre.
_SAME_GRID_MM = 1e-6


def write(
    volume: Volume,
    concept: Code,
    unit: Code,
    findings: Findings,
    provenance: Provenance,
    uids: ResultUids,
    *,
    segment: Segment | None = None,
    slope: float,
) -> Dataset:
    """A Parametric Map (PS3.3 A.75) with one frame per source image and a linear Real World Value Mapping.

    The same arguments give the same bytes.

    Parameters
    ----------
    volume
        uint16 on the grid of the source volume, axes (slice, row, column); stored as it is.
    concept
        The quantity, such as `PROBABILITY`.
    unit
        Its UCUM unit.
    segment
        What it is the probability of; None where that cannot be told. Every segment has a map, and thus UIDs, of its
        own.
    slope
        What one stored step is worth.

    Returns
    -------
    The object in Explicit VR Little Endian.

    Raises
    ------
    EncodingError
        If the source mixes patients or series or lacks a frame of reference, and for values of another type or on
        another grid.
    """
    source = findings.source
    values = on_images(volume, source)
    (header,) = normalised(source, (0,))
    with encoding(f"parametric map of series {header.SeriesInstanceUID}"):
        what = f"{concept.meaning}: {segment.label}" if segment else concept.meaning
        positions = [PlanePositionSequence("PATIENT", position(plane)) for plane in source.planes]
        planes = {_point(place[0]): plane for place, plane in zip(positions, source.planes, strict=True)}
        result = ParametricMap(
            # One image is enough for patient, orientation and pixel measures; the references are written below.
            source_images=[plain(header)],
            plane_positions=positions,
            pixel_array=values,
            series_instance_uid=uids.series(ROLE),
            series_number=series_number(ROLE, provenance.rule),
            sop_instance_uid=uids.instance(_role(concept, segment)),
            instance_number=segment.number if segment else 1,
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[
                RealWorldValueMapping(
                    lut_label=shortened(segment.label if segment else concept.meaning, 16),
                    lut_explanation=shortened(what),
                    unit=coded(unit),
                    quantity_definition=coded(concept),
                    value_range=(0, _MOST),
                    slope=slope,
                    intercept=0.0,
                )
            ],
            voi_lut_transformations=[
                # Other functions have no windows narrower than one (PS3.3 C.11.2.1.2), as probabilities need.
                VOILUTTransformation(_MOST / 2, float(_MOST), voi_lut_function=VOILUTFunctionValues.LINEAR_EXACT)
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


def on_images(volume: Volume, source: SourceSeries) -> NDArray[np.uint16]:
    """Stored values as the source images show them, (plane, row, column).

    Raises
    ------
    EncodingError
        For values of another type or on another grid than the source volume.
    """
    needed = source.volume
    apart_mm = float(np.abs(np.asarray(volume.affine) - np.asarray(needed.affine)).max())
    if volume.spatial_shape != needed.spatial_shape or apart_mm > _SAME_GRID_MM:
        raise EncodingError(
            f"parametric map: found a grid of {volume.spatial_shape}, {apart_mm:.2g} mm apart, needed the source's of "
            f"{needed.spatial_shape}"
        )
    if volume.dtype != np.uint16:
        raise EncodingError(f"parametric map: found values of {volume.dtype}, needed uint16")
    # Annotated for label maps, and true of every type: it moves voxels and makes none.
    return cast("NDArray[np.uint16]", source.on_planes(volume.array))


def _role(concept: Code, segment: Segment | None) -> str:
    return f"{ROLE} {concept.scheme} {concept.value} {segment.number if segment else 0}"


def _point(dataset: Dataset) -> tuple[float, ...]:
    return tuple(float(coordinate) for coordinate in dataset.ImagePositionPatient)
