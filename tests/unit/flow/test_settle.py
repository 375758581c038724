"""A study that has arrived becomes jobs, once, with its story told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dicomnode.config import Settings, parse
from dicomnode.domain.errors import OutOfResources
from dicomnode.flow import pulse
from dicomnode.flow.intake import Intake
from dicomnode.flow.plan import Planner
from dicomnode.flow.settle import Settle
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.studies import Studies
from tests.conftest import Hands, MakeArrival
from tests.toy import TOML, write_bundle

PEERS = [
    {"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": 104, "accept_research": True},
    {"name": "Scanner", "aet": "CT1", "host": "127.0.0.1", "port": 105, "role": "modality", "results_to": "PACS"},
]


class Node:
    """Intake and settle on one store, with a clock that tests move."""

    def __init__(self, db: Database, files: Files, clock: Hands, settings: Settings) -> None:
        self.db, self.clock = db, clock
        self.same = True
        self.intake = Intake(db, files, settings.rules)
        self.settle = Settle(db, files, settings, Planner(settings), lambda _first, _second: self.same)

    def settled(self) -> bool:
        self.clock.forward(6)
        return self.settle.sweep()

    def jobs(self) -> list[dict[str, Any]]:
        return [dict(row) for row in self.db.rows("SELECT * FROM job ORDER BY job_id")]

    def story(self) -> str:
        return "\n".join(row["detail"] for row in self.db.rows("SELECT detail FROM event ORDER BY event_id"))


MakeNode = Callable[..., Node]


@pytest.fixture
def node(db: Database, files: Files, clock: Hands, tmp_path: Path) -> MakeNode:
    # The studies here have one slice or two, and nothing is analysed.
    write_bundle(tmp_path / "models", b"not asked for here", TOML.replace("minimum_slices = 4", "minimum_slices = 1"))

    def make(*rules: dict[str, Any], **completion: Any) -> Node:
        rules = rules or ({"name": "r", "model": "toy", "series": {"Modality": "CT"}},)
        document = {
            "models": {"folder": str(tmp_path / "models")},
            "peer": PEERS,
            "rule": list(rules),
            "completion": completion,
        }
        return Node(db, files, clock, parse(document))

    return make


def test_a_quiet_study_settles_with_its_job_and_says_on_what_evidence(
    node: MakeNode, make_arrival: MakeArrival
) -> None:
    it = node()
    it.intake.accept(make_arrival())
    assert not it.settle.sweep()
    assert it.settled()
    (job,) = it.jobs()
    assert (job["rule"], job["destinations"], job["refusal"]) == ("r", '["PACS"]', "")
    assert "association closed and quiet for 5 s" in it.story()
    assert not it.settled(), "a settled study is not judged again"


def test_a_clock_that_is_set_back_an_hour_delays_a_study_by_no_more_than_its_quiet_time(
    node: MakeNode, make_arrival: MakeArrival
) -> None:
    it = node()
    it.intake.accept(make_arrival())
    it.clock.forward(-3600)
    assert not it.settle.sweep()
    assert it.settled()
    assert [job["revision"] for job in it.jobs()] == [1]


def test_an_unrelated_late_object_reruns_nothing(node: MakeNode, make_arrival: MakeArrival) -> None:
    it = node()
    it.intake.accept(make_arrival())
    it.settled()
    it.intake.accept(make_arrival(1, series="1.2.3.5", Modality="SR"))
    assert it.settled()
    assert len(it.jobs()) == 1


def test_a_late_slice_makes_a_second_job_for_revision_2(node: MakeNode, make_arrival: MakeArrival) -> None:
    it = node()
    it.intake.accept(make_arrival(1))
    it.settled()
    it.intake.accept(make_arrival(2))
    it.settled()
    assert [(job["revision"], job["state"]) for job in it.jobs()] == [(1, "cancelled"), (2, "waiting")]


def test_a_correction_cancels_what_waits_even_if_its_rule_no_longer_applies(
    node: MakeNode, make_arrival: MakeArrival
) -> None:
    it = node({"name": "r", "model": "toy", "series": {"Modality": "CT", "SeriesDescription": "chest"}})
    it.intake.accept(make_arrival(SeriesDescription="chest"))
    it.settled()
    it.intake.accept(make_arrival(content="corrected", SeriesDescription="abdomen"))
    it.settled()
    assert [job["state"] for job in it.jobs()] == ["cancelled"]


def test_an_object_that_comes_while_the_rules_are_held_postpones_settling(
    node: MakeNode, make_arrival: MakeArrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    it.intake.accept(make_arrival(1))
    plan = Planner.plan

    def slow(self: Planner, *args: Any, **named: Any) -> Any:
        it.clock.forward(1)
        it.intake.accept(make_arrival(2))
        return plan(self, *args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Planner, "plan", slow)
        assert not it.settled()
    assert it.jobs() == []
    assert it.settled() and len(it.jobs()) == 1


def test_the_same_pixels_in_another_encoding_change_nothing(node: MakeNode, make_arrival: MakeArrival) -> None:
    it = node()
    it.intake.accept(make_arrival())
    it.settled()
    it.intake.accept(make_arrival(pixels="recompressed"))
    assert not it.settled(), "the study never reopened"
    assert len(it.jobs()) == 1
    assert [row["standing"] for row in it.db.rows("SELECT standing FROM instance")] == ["current", "equal"]


def test_who_makes_way_leaves_a_comparison_and_its_study_to_the_heir(
    node: MakeNode, make_arrival: MakeArrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    it.intake.accept(make_arrival())
    it.intake.accept(make_arrival(pixels="altered"))
    with monkeypatch.context() as patch:
        patch.setattr(it.settle._variants, "_same_pixels", lambda _first, _second: None)
        patch.setattr(it.settle, "_stopped", lambda: True)
        assert not it.settled() and it.jobs() == []
    it.same = False
    assert not it.settled() and "different pixels; both are kept" in it.story(), "it is judged as if nothing had been"


def test_different_pixels_under_one_uid_hold_the_study_until_an_operator_decides(
    node: MakeNode, make_arrival: MakeArrival, db: Database, files: Files
) -> None:
    it = node()
    it.same = False
    it.intake.accept(make_arrival())
    it.intake.accept(make_arrival(pixels="altered"))
    assert not it.settled() and not it.settled()
    assert it.jobs() == [] and "different pixels; both are kept" in it.story()
    with db.transaction():
        Studies(db, files).release("1.2.3")
    assert it.settled() and len(it.jobs()) == 1


def test_an_older_copy_that_is_compared_late_does_not_override_a_newer_identity(
    node: MakeNode, make_arrival: MakeArrival
) -> None:
    it = node()
    it.intake.accept(make_arrival())
    it.intake.accept(make_arrival(pixels="recompressed", PatientID="P2"))
    it.intake.accept(make_arrival(content="newest", PatientID="P3"))
    it.settled()
    rows = it.db.rows("SELECT standing FROM instance ORDER BY instance_id")
    assert [row["standing"] for row in rows] == ["replaced", "replaced", "current"]


def test_spelling_and_blanks_are_no_disagreement(node: MakeNode, make_arrival: MakeArrival) -> None:
    it = node()
    it.intake.accept(make_arrival(1, PatientName="Doe^John", PatientBirthDate="19700101"))
    it.intake.accept(make_arrival(2, PatientName="DOE^JOHN^^", PatientBirthDate=""))
    assert it.settled() and it.jobs()[0]["refusal"] == ""


def test_two_series_without_a_frame_of_reference_both_get_their_job(node: MakeNode, make_arrival: MakeArrival) -> None:
    it = node()
    for series in ("1.2.3.4", "1.2.3.5"):
        it.intake.accept(make_arrival(series=series, FrameOfReferenceUID=""))
    it.settled()
    assert [job["state"] for job in it.jobs()] == ["waiting", "waiting"]


def test_a_rerun_asked_for_while_the_rules_are_held_is_not_lost(
    node: MakeNode, make_arrival: MakeArrival, db: Database, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    it.intake.accept(make_arrival())
    it.settled()
    it.intake.accept(make_arrival(1, series="1.2.3.5", Modality="SR"))
    plan = Planner.plan

    def asked(self: Planner, *args: Any, **named: Any) -> Any:
        with db.transaction():
            Studies(db, files).reopen("1.2.3", "by an operator", forced=True)
        return plan(self, *args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Planner, "plan", asked)
        assert not it.settled()
    assert it.settled() and [job["run"] for job in it.jobs()] == [1, 2]


def test_pixels_that_cannot_be_compared_hold_the_study_instead_of_trying_for_ever(
    node: MakeNode, make_arrival: MakeArrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    it.intake.accept(make_arrival())
    it.intake.accept(make_arrival(pixels="recompressed"))

    def broken(_first: Path, _second: Path) -> bool:
        raise RuntimeError

    monkeypatch.setattr(it.settle._variants, "_same_pixels", broken)
    for _ in range(7):
        it.settled()
    assert "both are kept" in it.story()


def test_results_wait_until_all_instances_agree_on_the_patient(node: MakeNode, make_arrival: MakeArrival) -> None:
    it = node()
    it.intake.accept(make_arrival(1))
    it.intake.accept(make_arrival(2, PatientID="corrected"))
    assert not it.settled()
    it.intake.accept(make_arrival(1, content="corrected", PatientID="corrected"))
    assert it.settled()
    assert it.jobs()[0]["refusal"] == ""


def test_a_study_whose_instances_never_agree_is_refused_visibly(node: MakeNode, make_arrival: MakeArrival) -> None:
    it = node()
    it.intake.accept(make_arrival(1))
    it.intake.accept(make_arrival(2, PatientID="P2"))
    it.clock.forward(1000)
    assert it.settle.sweep()
    assert "disagree on PatientID" in it.jobs()[0]["refusal"]


def test_an_old_study_is_kept_as_a_prior_unless_somebody_asks(node: MakeNode, make_arrival: MakeArrival) -> None:
    it = node()
    it.intake.accept(make_arrival(StudyDate="20200101"))
    assert it.settled() and it.jobs() == [] and "kept as a prior" in it.story()
    it.intake.accept(make_arrival(StudyDate="20200101", on_demand=True))
    assert it.settled() and len(it.jobs()) == 1


def test_a_forced_run_repeats_the_analysis_under_a_new_run(node: MakeNode, make_arrival: MakeArrival) -> None:
    it = node()
    it.intake.accept(make_arrival())
    it.settled()
    it.intake.accept(make_arrival(on_demand=True))
    it.settled()
    assert [job["run"] for job in it.jobs()] == [1, 2]


def test_a_rule_with_an_unusable_model_refuses_instead_of_staying_silent(
    node: MakeNode, make_arrival: MakeArrival
) -> None:
    it = node({"name": "r", "model": "absent", "series": {"Modality": "CT"}})
    it.intake.accept(make_arrival())
    it.settled()
    assert "model absent: no such bundle" in it.jobs()[0]["refusal"]


def test_a_rule_whose_series_do_not_fit_the_model_refuses_once(node: MakeNode, make_arrival: MakeArrival) -> None:
    it = node({"name": "r", "model": "toy", "series": {"Modality": "MR"}})
    it.intake.accept(make_arrival(1, Modality="MR"))
    it.intake.accept(make_arrival(1, series="1.2.3.6", Modality="MR", FrameOfReferenceUID="7.7"))
    it.settled()
    (job,) = it.jobs()
    assert "no series fits the input of toy: Modality equals CT: found MR" in job["refusal"]


def test_the_story_tells_which_clause_failed(node: MakeNode, make_arrival: MakeArrival) -> None:
    it = node({"name": "thin", "model": "toy", "series": {"Modality": "CT", "SliceThickness": {"at_most": 3}}})
    it.intake.accept(make_arrival(SliceThickness=5))
    it.settled()
    assert it.jobs() == []
    assert "does not match: SliceThickness at most 3: found 5.0" in it.story()


def test_results_of_a_scanners_study_go_where_its_entry_says(node: MakeNode, make_arrival: MakeArrival) -> None:
    it = node({"name": "r", "model": "toy", "series": {"Modality": "CT"}, "destinations": ["sender", "PACS"]})
    it.intake.accept(make_arrival(peer="Scanner"))
    it.settled()
    assert it.jobs()[0]["destinations"] == '["PACS"]', "a peer reached twice gets a result once"


def test_an_unknown_sender_leaves_a_remark_and_the_job_runs(node: MakeNode, make_arrival: MakeArrival) -> None:
    it = node()
    it.intake.accept(make_arrival(peer=""))
    it.settled()
    assert it.jobs()[0]["destinations"] == "[]" and "no destination for sender" in it.story()


def test_one_poisoned_study_does_not_halt_the_rest_and_is_given_up_visibly(
    node: MakeNode, make_arrival: MakeArrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    plan = Planner.plan

    def poisoned(self: Planner, study: Any, *args: Any, **named: Any) -> Any:
        if study.study_instance_uid == "6.6.6":
            raise ZeroDivisionError
        return plan(self, study, *args, **named)

    monkeypatch.setattr(Planner, "plan", poisoned)
    it.intake.accept(make_arrival(study="6.6.6", series="6.6.6.1"))
    it.intake.accept(make_arrival())
    assert it.settled()
    assert [job["study_instance_uid"] for job in it.jobs()] == ["1.2.3"]
    for _ in range(6):  # the last but one tries to tell the reader
        it.settled()
    row = it.db.row("SELECT state, reason FROM study WHERE study_instance_uid = '6.6.6'")
    assert row is not None and row["state"] == "abandoned" and "settling failed 5 times" in row["reason"]


def test_a_study_of_which_no_image_came_is_reported_by_every_rule_that_matches(
    node: MakeNode, make_arrival: MakeArrival
) -> None:
    it = node()
    it.intake.accept(make_arrival(Rows=None))
    assert it.settled()
    row = it.db.row("SELECT state FROM study")
    assert row is not None and row["state"] == "abandoned"
    (job,) = it.jobs()
    assert job["refusal"].startswith("the study was abandoned: no image came")
    assert job["destinations"] == '["PACS"]' and "1 instances in 1 series" in job["received"]


def test_a_study_that_is_abandoned_and_matches_no_rule_is_reported_to_nobody(
    node: MakeNode, make_arrival: MakeArrival
) -> None:
    it = node()
    it.intake.accept(make_arrival(Modality="SR", Rows=None))
    assert it.settled() and it.jobs() == []


def test_a_job_keeps_how_complete_its_study_was(node: MakeNode, make_arrival: MakeArrival) -> None:
    it = node(give_up_seconds=20)
    it.intake.accept(make_arrival(ImagesInAcquisition=3))
    assert not it.settled()
    it.clock.forward(20)
    assert it.settled()
    (job,) = it.jobs()
    assert job["received"] == (
        "1 of 3 expected instances in 1 series (ImagesInAcquisition); gave up 20 s after the last object; INCOMPLETE,"
        " series 1.2.3.4: 1 of 3 (ImagesInAcquisition)"
    )


def test_a_full_disk_while_settling_gives_nothing_up(
    node: MakeNode, make_arrival: MakeArrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    it.intake.accept(make_arrival())

    def full(*_args: Any, **_named: Any) -> Any:
        raise OutOfResources("database: disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Studies, "settle", full)
        for _ in range(7):
            assert not it.settled()
    assert it.settled() and len(it.jobs()) == 1


def test_a_sweep_that_hangs_is_no_loop_that_goes_round(
    node: MakeNode, make_arrival: MakeArrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "_last_round", [])
    seconds = [1000.0]
    monkeypatch.setattr(pulse, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    inside: list[bool] = []

    def hanging(_self: Planner, *_args: Any, **_named: Any) -> Any:
        for _ in range(3):
            inside.append(pulse.goes_round())
            seconds[0] += 30
        raise OutOfResources("at last")

    it = node()
    it.intake.accept(make_arrival())
    it.clock.forward(6)
    monkeypatch.setattr(Planner, "plan", hanging)
    it.settle.sweep()
    assert inside == [True, True, False] and not pulse.goes_round()
    it.clock.forward(-6)
    it.settle.sweep()
    assert pulse.goes_round(), "the next sweep says so again"


def test_an_analysis_may_take_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "_last_round", [])
    seconds = [1000.0]
    monkeypatch.setattr(pulse, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    pulse.again()
    with pulse.unhurried():
        seconds[0] += 3600
        assert pulse.goes_round()
    assert pulse.goes_round()
    seconds[0] += 60
    assert not pulse.goes_round(), "between analyses the loop has to go round"
