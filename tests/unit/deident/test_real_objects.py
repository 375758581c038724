"""Real objects stay valid and readable, and their references hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom import config, dcmread

from dicomnode.deident.dataset import deidentify
from dicomnode.deident.pseudonym import Pseudonyms
from dicomnode.domain.privacy import Keep
from tests.acceptance.validators import dciodvfy

OBJECTS = (
    "dcmqi/sr-example/sr.dcm",
    "dcmqi/sr-example/seg.dcm",
    "dcmqi/segmentations/liver.dcm",
    "highdicom/sr_document.dcm",
    "highdicom/ct_image.dcm",
    "highdicom/sm_image.dcm",
)


def _errors(path: Path) -> set[str]:
    """Errors without the values in them, which change."""
    return {re.sub(r"<[^>]*>|[\d.]{12,}|'[^']*'", "", line) for line in dciodvfy(path) if line.startswith("Error")}


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("keep", [frozenset(), frozenset(Keep)], ids=["basic", "all options"])
def test_a_validator_finds_nothing_that_it_did_not_find_before(
    name: str,
    keep: frozenset[Keep],
    real_data: Path,
    tmp_path: Path,
    names: Pseudonyms,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config.settings, "_reading_validation_mode", config.IGNORE)
    path = tmp_path / "done.dcm"
    deidentify(dcmread(real_data / name), names, keep).dataset.save_as(path, enforce_file_format=True)
    assert _errors(path) <= _errors(real_data / name)


def test_a_report_and_its_mask_still_refer_to_each_other(
    real_data: Path, names: Pseudonyms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.settings, "_reading_validation_mode", config.IGNORE)
    report, mask = (dcmread(real_data / "dcmqi" / "sr-example" / f"{one}.dcm") for one in ("sr", "seg"))
    assert mask.SOPInstanceUID in str(report)
    old = str(mask.SOPInstanceUID)
    clean_report, clean_mask = (deidentify(one, names).dataset for one in (report, mask))
    assert clean_mask.SOPInstanceUID in str(clean_report) and old not in str(clean_report)
    assert clean_mask.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator != "99REMOVED"
