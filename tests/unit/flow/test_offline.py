"""Files are taken as other DICOM tools take them; what is none is counted, reason by reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicomnode.flow.offline import outgoing, studies_in
from tests.series import classic
from tests.series.header import Place
from tests.series.scan import upright

#: Preamble, prefix and the element (0002,0000) with its value (PS3.10 7.1).
META_START, GROUP_LENGTH = 132, 12


def one_image() -> Dataset:
    values = np.arange(16 * 16 * 3, dtype=np.int16).reshape(16, 16, 3)
    return classic.ct(upright(values, (2.0, 2.0, 4.0), (0.0, 0.0, 0.0)), Place(study="s", frame="f"))[0]


def without_group_length(path: Path) -> Path:
    content = path.read_bytes()
    assert content[META_START : META_START + 4] == b"\x02\x00\x00\x00"
    path.write_bytes(content[:META_START] + content[META_START + GROUP_LENGTH :])
    return path


def test_a_file_without_group_length_is_the_same_object(tmp_path: Path) -> None:
    ds = one_image()
    paths = [tmp_path / "1.dcm", tmp_path / "2.dcm"]
    for path in paths:
        ds.save_as(path, enforce_file_format=True)
    ((whole,), nothing), ((study,), left_out) = studies_in(paths[:1]), studies_in([without_group_length(paths[1])])
    (expected,), (found,) = whole.series[0].instances, study.series[0].instances
    assert nothing == left_out == [] and found.digest == expected.digest
    assert found.header.first("Rows") == expected.header.first("Rows") == 16
    sent = outgoing(paths[1])
    assert sent is not None and sent.sop_instance_uid == ds.SOPInstanceUID


def test_a_deflated_file_without_group_length_is_read(tmp_path: Path) -> None:
    ds = one_image()
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(tmp_path / "1.dcm", enforce_file_format=True)
    (study,), left_out = studies_in([without_group_length(tmp_path / "1.dcm")])
    assert left_out == [] and study.series[0].header.first("Columns") == 16


def test_what_is_no_dicom_is_counted_in_one_line_without_words_of_a_library(tmp_path: Path) -> None:
    for name in ("LICENSE", "README.md", "empty"):
        (tmp_path / name).write_text("" if name == "empty" else "words " * 40)
    ds = one_image()
    ds.save_as(tmp_path / "whole.dcm", enforce_file_format=True)
    content = (tmp_path / "whole.dcm").read_bytes()
    (tmp_path / "x-cut.dcm").write_bytes(content[:-300])
    (study,), left_out = studies_in([tmp_path])
    assert len(study.series[0].instances) == 1
    assert left_out[0] == "3 files were left out, such as LICENSE: no DICOM file"
    assert left_out[1].startswith("1 file was left out, x-cut.dcm: ") and "needed" in left_out[1]
    assert len(left_out) == 2 and "force" not in str(left_out)


def test_the_digital_reference_objects_are_read_as_every_other_tool_reads_them(real_data: Path) -> None:
    folder = real_data / "ibsi_suv_dro" / "DRO" / "DRO_0_0"
    (study,), left_out = studies_in([folder])
    pet = next(series for series in study.series if series.header.first("Modality") == "PT")
    assert len(pet.instances) == len(list((folder / "PT").iterdir())) == 20
    assert pet.header.first("Units") == dcmread(pet.instances[0].path, stop_before_pixels=True).Units
    assert left_out == ["1 file was left out, DRO_mask.nii.gz: no DICOM file"]
