"""A run that only adds a comparison costs nobody the result that it adds to, and is not lost for a while's trouble."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomnode.config import parse
from dicomnode.domain.errors import EncodingError, PeerUnreachable
from dicomnode.domain.prior import PriorFile, PriorKind
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow import analyse
from dicomnode.flow.outbox import Outbox
from dicomnode.report import measurements
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.priors import Searches
from tests.conftest import Hands
from tests.unit.flow import test_compare_later
from tests.unit.flow.test_compare_later import Node, images

node, registered = test_compare_later.node, test_compare_later.registered


def to_be_compared(node: Node) -> None:
    """Two studies whose first results are out, and the run that is to compare the later one."""
    for study, day, radius in (("before", "20260101", 8.0), ("now", "20260301", 12.0)):
        node.settled(images(study, day, radius))
        assert node.worker.run_once()
        node.sent()
    assert node.priors.run_once()


def roles(node: Node) -> list[str]:
    return [row["role"] for row in node.db.rows("SELECT role FROM result JOIN delivery USING (result_id)")]


@pytest.mark.usefixtures("registered")
def test_memory_that_lacks_for_a_moment_costs_neither_the_result_nor_the_comparison(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_be_compared(node)
    with monkeypatch.context() as short:
        short.setattr(analyse, "read", _full)
        assert node.worker.run_once()
    assert node.job()["state"] == "waiting"
    node.clock.forward(3600)
    assert node.worker.run_once()
    assert "Compared with the study of 2026-01-01" in node.report().to_json() and "refusal" not in roles(node)


@pytest.mark.usefixtures("registered")
def test_a_comparison_that_cannot_be_written_is_left_out_and_never_becomes_a_refusal(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_be_compared(node)
    write = measurements.write

    def fails(findings: Any, *more: Any, **named: Any) -> Any:
        if findings.comparison and findings.comparison.priors:
            raise EncodingError("the comparison cannot be encoded")
        return write(findings, *more, **named)

    monkeypatch.setattr(measurements, "write", fails)
    for _ in range(3):
        assert node.worker.run_once()
        node.clock.forward(3600)
    assert (node.job()["run"], node.job()["state"]) == (2, "done") and "refusal" not in roles(node)
    assert "made without them" in node.report().to_json()


@pytest.mark.usefixtures("registered")
def test_a_second_run_that_fails_whatever_is_done_leaves_the_reader_his_result(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_be_compared(node)
    sent = roles(node)
    monkeypatch.setattr(analyse, "read", _full)
    for _ in range(3):
        assert node.worker.run_once()
        node.clock.forward(3600)
    assert not node.worker.run_once() and roles(node) == sent
    assert (node.job()["state"], node.job()["reason"][:13]) == ("failed", "not compared:")


def _full(*_arguments: Any, **_named: Any) -> Any:
    raise MemoryError


@pytest.mark.usefixtures("registered")
def test_a_restart_while_it_compares_does_not_end_the_comparison(node: Node) -> None:
    to_be_compared(node)
    jobs = node.worker._jobs
    with node.db.transaction():
        assert jobs.claim("work-9", timedelta(seconds=60)) is not None
        jobs.hand_back("work-%", "the node was restarted", counts=True)
    assert node.worker.run_once()
    assert "Compared with the study of 2026-01-01" in node.report().to_json()


@pytest.mark.usefixtures("registered")
def test_a_destination_that_is_away_keeps_the_comparison_from_no_other(
    db: Database, files: Files, clock: Hands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_another(document: dict[str, Any]) -> Any:
        document["peer"].append({**document["peer"][0], "name": "AWAY", "aet": "AWAY"})
        document["rule"][0]["destinations"].append("AWAY")
        return parse(document)

    monkeypatch.setattr(test_compare_later, "parse", with_another)
    node = Node(db, files, clock, tmp_path / "models")
    away = Outbox(db, files, node.priors._settings, _unreachable, "deliver-2")
    for study, day in (("before", "20260101"), ("now", "20260301")):
        node.settled(images(study, day, 8.0))
        assert node.worker.run_once()
        away.run_once("AWAY")
    clock.forward(3700)
    assert not node.priors.run_once(), "no destination has the first result"
    node.sent()
    assert node.priors.run_once() and node.worker.run_once()
    assert "Compared with the study of 2026-01-01" in node.report().to_json()


def _unreachable(_peer: Any, _batch: Sequence[Delivery]) -> Generator[Receipt, None, None]:
    yield from ()
    raise PeerUnreachable("AWAY: no TCP connection")


@pytest.mark.usefixtures("registered")
def test_both_runs_of_a_study_that_an_archive_gives_back_are_one_set_of_lesions(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Searches, "_results", _of_all_runs)
    for study, day in (("a", "20260101"), ("b", "20260301"), ("c", "20260501")):
        node.settled(images(study, day, 12.0))
        assert node.worker.run_once()
        node.sent()
        if node.priors.run_once():
            assert node.worker.run_once()
            node.sent()
    found = node.report().to_json()
    assert "SD, stable disease (0.0 %" in found
    assert "merged" not in found and "Not detected by the algorithm" not in found


def _of_all_runs(self: Searches, study_instance_uid: str, _rule: str) -> list[PriorFile]:
    """As an archive has them."""
    rows = self._db.rows(
        "SELECT result.* FROM result JOIN job USING (job_id) WHERE study_instance_uid = ? AND role = kind"
        " AND kind IN ('seg', 'sr') ORDER BY result_id",
        study_instance_uid,
    )
    return [
        PriorFile(
            kind=PriorKind.MASK if row["kind"] == "seg" else PriorKind.REPORT,
            series_instance_uid=row["series_instance_uid"], sop_class_uid=row["sop_class_uid"],
            sop_instance_uid=row["sop_instance_uid"], path=self._files.path(row["path"]), own=True,
        )
        for row in rows
    ]  # fmt: skip


@pytest.mark.usefixtures("registered")
def test_a_report_names_the_source_that_was_not_heard_and_claims_no_nadir(
    db: Database, files: Files, clock: Hands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_peer(document: dict[str, Any]) -> Any:
        document["rule"][0]["priors"]["from"].append("PACS")
        return parse(document)

    monkeypatch.setattr(test_compare_later, "parse", with_peer)
    node = Node(db, files, clock, tmp_path / "models")
    for study, day in (("before", "20260101"), ("now", "20260301")):
        node.settled(images(study, day, 12.0))
        assert node.worker.run_once()
        node.sent()
        if study == "before":
            first = node.report().to_json()
            assert "no earlier study at hand" in first and "PACS were still being looked for" in first
    assert not node.priors.run_once(), "the peer is being asked"
    with db.transaction():
        db.execute("UPDATE prior_search SET failures = 3, state = 'failed' WHERE source = 'PACS'")
    assert node.priors.run_once() and node.worker.run_once()
    found = node.report().to_json()
    assert "Compared with the study of 2026-01-01" in found
    assert "earlier studies at PACS could not be looked for" in found
    assert "SUM-DIAM-LEAST" in found and "SUM-DIAM-NADIR" not in found and "PR, partial" not in found
