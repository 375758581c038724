"""Series without files that have the headers a test needs, single-frame or multi-frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from highdicom import Volume
from pydicom import DataElement, Dataset
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.sequence import Sequence as Items

from dicomnode.domain.finding import Plane, SourceSeries, planes_of

SHAPE = (4, 6, 8)
SPACING_MM = (3.0, 0.8, 0.5)


def series(*, array: Any = None, unit: str = "1", **attributes: Any) -> SourceSeries:
    """A series of 4 axial slices of 3 mm, 6 rows and 8 columns of 0.8 and 0.5 mm, with these attributes.

    A list gives every slice its own value; None leaves the attribute out.
    """
    headers = [_header(index, attributes) for index in range(SHAPE[0])]
    return SourceSeries(volume=volume(SHAPE, SPACING_MM, array), planes=planes_of(headers), unit=unit)


def multiframe(shared: dict[str, Dataset], per_frame: Sequence[dict[str, Dataset]], **attributes: Any) -> SourceSeries:
    """A multi-frame series: functional groups that all frames share, those of single frames, and attributes at the top.

    Parameters
    ----------
    shared, per_frame
        Keyword of a functional group's sequence → its one item.
    """
    ds = _header(0, attributes)
    ds.SharedFunctionalGroupsSequence = Items([_groups(shared)])
    ds.PerFrameFunctionalGroupsSequence = Items([_groups(one) for one in per_frame])
    count = len(per_frame)
    planes = [Plane(dataset=ds, frame_number=index + 1, position_mm=(0.0, 0.0, 3.0 * index)) for index in range(count)]
    return SourceSeries(volume=volume((count, *SHAPE[1:]), SPACING_MM), planes=tuple(planes))


def item(**attributes: Any) -> Dataset:
    """A data set with these attributes, which need not be what their value representations allow."""
    ds = Dataset()
    for keyword, value in attributes.items():
        vr = dictionary_VR(keyword)
        ds.add(DataElement(keyword, vr, Items(value) if vr == "SQ" else value, validation_mode=IGNORE))
    return ds


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """The item of a code sequence (PS3.3 section 8)."""
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def volume(shape: tuple[int, ...], spacing_mm: tuple[float, ...], array: Any = None) -> Volume:
    """An axial volume whose first voxel lies at the origin; without an array its voxels count from 0."""
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing_mm
    affine[3, 3] = 1
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape) if array is None else np.asarray(array)
    return Volume(array=values, affine=affine, coordinate_system="PATIENT")


def _groups(members: dict[str, Dataset]) -> Dataset:
    return item(**{keyword: Items([member]) for keyword, member in members.items()})


def _header(index: int, attributes: dict[str, Any]) -> Dataset:
    stated = {"SeriesInstanceUID": "1.2.3", "Modality": "CT", **attributes}
    own = {keyword: value[index] if isinstance(value, list) else value for keyword, value in stated.items()}
    return item(**{keyword: value for keyword, value in own.items() if value is not None})
