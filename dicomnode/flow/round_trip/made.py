"""Draws the study of a round trip: a chest CT of nobody, with the attributes that a rule asks for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import DataElement, Dataset
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR
from scipy.ndimage import zoom

from dicomnode.deliver.dimse import Outgoing
from dicomnode.domain.header import Header
from dicomnode.domain.rule import Condition, Operator
from dicomnode.domain.study import Instance, Series, Study
from dicomnode.route.match import evaluate
from dicomnode.train.phantoms import Phantom, thorax
from dicomnode.train.series import to_datasets

#: Whom every reader takes for what he is.
PATIENT_NAME, PATIENT_ID = "DICOMNODE^CHECK", "DICOMNODE-CHECK"

#: Drawn on a coarse grid, which takes 1 s instead of 5, and put on one as fine as models for the chest ask for.
_DRAWN_SHAPE, _DRAWN_MM, _FINER = (60, 128, 128), (5.0, 3.0, 3.0), 2

#: What a rule may ask of the distance of slices.
_THICKNESS = frozenset({"SliceThickness", "SpacingBetweenSlices"})

#: What says where the voxels lie, or whose they are: no rule has its way with these.
_FIXED = re.compile(r".*UID|Patient(Name|ID)|Rows|Columns|Bits\w+|Pixel\w+|Image(Pos|Orient)\w+|Study(Date|Time)")


def slice_spacing_mm(conditions: Iterable[Condition]) -> float:
    """The distance of slices that a rule and its model take."""
    bounds = (Operator.AT_MOST, Operator.EQUALS)
    limits = [float(one.operand) for one in conditions if one.key in _THICKNESS and one.operator in bounds]
    wanted = min([_DRAWN_MM[0], *(limit for limit in limits if limit > 0)])
    return _DRAWN_MM[0] / math.ceil(_DRAWN_MM[0] / wanted)


def chest_ct(study_instance_uid: str, day: date, spacing_mm: float, conditions: Sequence[Condition]) -> list[Dataset]:
    """The images of the study, with attributes that meet the conditions as far as they can be met."""
    datasets = to_datasets(
        _phantom(round(_DRAWN_MM[0] / spacing_mm)),
        study_instance_uid=study_instance_uid,
        patient_name=PATIENT_NAME, patient_id=PATIENT_ID, study_date=day,
    )  # fmt: skip
    header = _header(datasets[0])
    unmet = [one for one in conditions if len(one.path) == 1 and not evaluate(one, [header]).met]
    for ds in datasets:
        ds.StudyDescription, ds.SeriesDescription = "dicomnode check: no patient", "Made by dicomnode check"
        for condition in unmet:
            _meet(ds, condition)
    return datasets


def as_study(datasets: Sequence[Dataset], *, calling_aet: str, called_aet: str, peer: str) -> Study:
    """The images as the node would know them once they had come."""
    instances = tuple(
        Instance(
            sop_instance_uid=str(ds.SOPInstanceUID), sop_class_uid=str(ds.SOPClassUID),
            transfer_syntax_uid=str(ds.file_meta.TransferSyntaxUID), digest="", path=Path(), header=_header(ds),
        )
        for ds in datasets
    )  # fmt: skip
    return Study(
        study_instance_uid=str(datasets[0].StudyInstanceUID), revision=1, calling_aet=calling_aet,
        called_aet=called_aet, address="", peer=peer,
        series=(Series(series_instance_uid=str(datasets[0].SeriesInstanceUID), instances=instances),),
    )  # fmt: skip


def write(datasets: Iterable[Dataset], folder: Path) -> Iterator[Outgoing]:
    """The images as files to send."""
    for number, ds in enumerate(datasets):
        path = folder / f"{number:04}.dcm"
        ds.save_as(path, enforce_file_format=True)
        yield Outgoing(
            sop_class_uid=str(ds.SOPClassUID), sop_instance_uid=str(ds.SOPInstanceUID),
            transfer_syntax_uid=str(ds.file_meta.TransferSyntaxUID), path=path,
        )  # fmt: skip


@cache
def _phantom(slices: int) -> Phantom:
    drawn = thorax(seed=1, shape=_DRAWN_SHAPE, spacing_mm=_DRAWN_MM)
    fine = zoom(drawn.hounsfield, (slices, _FINER, _FINER), order=1, grid_mode=True, mode="nearest")
    spacing = _DRAWN_MM[0] / slices, _DRAWN_MM[1] / _FINER, _DRAWN_MM[2] / _FINER
    # The first voxel of the finer grid begins where the first of the coarse one does.
    z, y, x = ((fine_mm - drawn_mm) / 2 for fine_mm, drawn_mm in zip(spacing, _DRAWN_MM, strict=True))
    origin = drawn.origin_mm[0] + x, drawn.origin_mm[1] + y, drawn.origin_mm[2] + z
    return replace(drawn, hounsfield=fine, labels=np.zeros(fine.shape, np.uint8), spacing_mm=spacing, origin_mm=origin)


def _header(ds: Dataset) -> Header:
    bare = Dataset()
    bare.update({element.tag: deepcopy(element) for element in ds if element.keyword != "PixelData"})
    return Header.of(bare.to_json_dict(suppress_invalid_tags=True))


def _meet(ds: Dataset, condition: Condition) -> None:
    """Change one attribute so that a condition holds, where it is known how."""
    keyword = condition.path[0]
    if _FIXED.fullmatch(keyword):
        return
    match condition.operator:
        case Operator.EQUALS | Operator.AT_MOST | Operator.AT_LEAST:
            value: Any = condition.operand
        case Operator.ANY_OF:
            value = condition.operand[0]
        case Operator.CONTAINS:
            value = [*ds.get(keyword, []), condition.operand] if keyword == "ImageType" else condition.operand
        case Operator.MATCHES:
            value = re.sub(r"\(\?\w+\)|[\^$]|\.\*|\\b|\(\?:|[()]", "", str(condition.operand)).split("|")[0]
        case Operator.PRESENT:
            value = "CHECK"
        case _:
            ds.pop(keyword, None)
            return
    # A value that the attribute cannot have leaves the condition unmet, which is told.
    with suppress(ValueError, TypeError, NotImplementedError):
        ds.add(DataElement(keyword, dictionary_VR(keyword), value, validation_mode=RAISE))
