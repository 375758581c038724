"""What is read before the first study is not read for it."""

from __future__ import annotations

import json

import pytest

from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import measurements, segmentation
from dicomnode.report.warm import warm_up


def test_once_warm_no_table_is_read_for_a_result(
    findings: Findings, provenance: Provenance, uids: ResultUids, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm_up()

    def read(*_: object, **__: object) -> None:
        pytest.fail("a table was read for the first result")

    monkeypatch.setattr(json, "loads", read)
    measurements.write(findings, provenance, uids, segmentation.write(findings, provenance, uids))
