"""Sums of target lesions that our reports tell of studies before them, read back."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.response import Comparison, sums_uid
from dicomnode.domain.uid import ResultUids
from dicomnode.report import encode, measurements
from dicomnode.report.told_sums import read_sums

from .followup import compared, measured_lesions

BASELINE, NADIR = date(2025, 1, 2), date(2025, 6, 7)


def followed(uids: ResultUids, *, every_study: bool = True, now: float = 33.25) -> tuple[Findings, Comparison]:
    """Findings with sums of two earlier studies."""
    findings = compared(measured_lesions(), uids)
    assert findings.comparison is not None
    recist, *others = findings.comparison.assessments
    recist = dataclasses.replace(
        recist, baseline=61.123456789, baseline_day=BASELINE, nadir=20.5, nadir_day=NADIR, now=now,
        every_study=every_study, category=None,
    )  # fmt: skip
    comparison = dataclasses.replace(findings.comparison, assessments=(recist, *others))
    return dataclasses.replace(findings, comparison=comparison), comparison


def written(path: Path, findings: Findings, provenance: Provenance, uids: ResultUids) -> Path:
    path.write_bytes(encode.to_bytes(measurements.write(findings, provenance, uids, None)))
    return path


@pytest.mark.parametrize("every_study", [True, False])
def test_baseline_and_nadir_come_back_with_their_days(
    provenance: Provenance, uids: ResultUids, tmp_path: Path, every_study: bool
) -> None:
    findings, comparison = followed(uids, every_study=every_study)
    report = written(tmp_path / "sr.dcm", findings, provenance, uids)
    told = {one.criterion: one for one in read_sums([report], provenance.model.name, provenance.model.version)}
    recist = told["recist"]
    # As they were measured, not as the decimal string of 16 characters beside them.
    assert (recist.baseline.value, recist.baseline.day) == (61.123456789, BASELINE)
    assert (recist.nadir.value, recist.nadir.day) == (20.5, NADIR)
    assert recist.every_study is every_study
    assert recist.sums_uid == sums_uid("recist", comparison.assessments[0].targets)
    others = {one.criterion: one for one in comparison.assessments[1:] if one.baseline is not None}
    assert {name: told[name].baseline.value for name in others} == {name: one.baseline for name, one in others.items()}


def test_the_newest_report_counts_and_those_of_other_models_do_not(
    provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    findings, comparison = followed(uids)
    late = dataclasses.replace(provenance, started_at=datetime(2027, 1, 1, tzinfo=UTC))
    recist, *others = comparison.assessments
    newer = dataclasses.replace(comparison, assessments=(dataclasses.replace(recist, nadir=18.0), *others))
    new = written(tmp_path / "new.dcm", dataclasses.replace(findings, comparison=newer), late, uids)
    old = written(tmp_path / "old.dcm", findings, provenance, uids)
    name, version = provenance.model.name, provenance.model.version
    for order in ([new, old], [old, new]):
        (found,) = [one for one in read_sums(order, name, version) if one.criterion == "recist"]
        assert found.nadir.value == 18.0
    assert read_sums([new, old], name, "0.0.9") == read_sums([], name, version) == ()


def test_a_report_without_a_comparison_tells_of_no_sums(
    provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    plain = written(tmp_path / "sr.dcm", measured_lesions(), provenance, uids)
    assert read_sums([plain], provenance.model.name, provenance.model.version) == ()


def test_a_report_that_is_cut_short_is_refused(provenance: Provenance, uids: ResultUids, tmp_path: Path) -> None:
    report = written(tmp_path / "sr.dcm", followed(uids)[0], provenance, uids)
    report.write_bytes(b"no report")
    with pytest.raises(Unsuitable, match="cannot be read"):
        read_sums([report], provenance.model.name, provenance.model.version)
