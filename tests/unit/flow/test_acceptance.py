"""What a site decides about a model: clinical rules refuse what nobody accepted, a disabled one holds its jobs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomnode.config import Settings, parse, shipped
from dicomnode.domain.errors import ConfigError, DicomNodeError, LeaseLost
from dicomnode.flow.evaluate.run import Evaluation
from dicomnode.flow.intake import Intake
from dicomnode.flow.models.acceptance import accept, accept_unmeasured, acceptable, grounds
from dicomnode.flow.models.installed import described
from dicomnode.flow.models.switch import disable, enable
from dicomnode.flow.plan import Planner
from dicomnode.flow.preflight.models import models
from dicomnode.flow.settle import Settle
from dicomnode.flow.verdict import Verdict
from dicomnode.flow.work import Worker
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs
from dicomnode.store.models import Models
from dicomnode.store.story import Story
from tests.conftest import Hands
from tests.toy import TOML, write_bundle
from tests.unit.flow.conftest import MakeStudy

RESEARCH = TOML.replace('status = "demo"', 'status = "research"')
FIGURES: list[dict[str, Any]] = [{"structure": "lesions", "cases": 3, "figures": {}, "strata": [{"by": "x"}]}]


def evaluation(**more: Any) -> Evaluation:
    told = {"done": 3, "skipped": 0, "cases": 3, "evaluated": 3, "failed": 0, "figures": FIGURES, **more}
    return Evaluation(**told)


class Site:
    """A node with one rule and one model."""

    def __init__(self, folder: Path, db: Database, files: Files, clock: Hands, use: str) -> None:
        self.db, self.files, self.clock = db, files, clock
        if not (folder / "models").exists():
            write_bundle(folder / "models", toml=RESEARCH)
        self.settings: Settings = parse(
            {
                "store": {"folder": str(db.path.parent)},
                "models": {"folder": str(folder / "models")},
                "peer": [{"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": 104, "accept_research": True}],
                "rule": [
                    {"name": "r", "model": "toy", "use": use, "outputs": ["sr"], "destinations": ["PACS"],
                     "series": {"Modality": "CT"}}
                ],
            }
        )  # fmt: skip
        self.folder = folder / "models" / "toy"
        self.intake = Intake(db, files, self.settings.rules)
        planner = Planner(self.settings, db=db)
        self.settle = Settle(db, files, self.settings, planner, lambda _one, _other: False)
        self.worker = Worker(db, files, self.settings, Sessions(threads=1, device="cpu"), "w")
        self.jobs, self.models = Jobs(db, files), Models(db)

    def accept(self) -> str:
        return accept(self.db, load_bundle(self.folder), evaluation(), "Dr Accepts")

    def told(self) -> str:
        return "\n".join(f"{line.arrow} {line.detail}" for line in Story(self.db).why("1.2.3"))

    def states(self) -> list[str]:
        return [row["state"] for row in self.db.rows("SELECT state FROM job ORDER BY job_id")]


@pytest.fixture
def site(tmp_path: Path, db: Database, files: Files, clock: Hands) -> Callable[[str], Site]:
    return lambda use: Site(tmp_path, db, files, clock, use)


@pytest.fixture
def settled(ct: MakeStudy, receive: Callable[[Intake, list[Path]], None]) -> Callable[[Site], None]:
    def act(site: Site) -> None:
        receive(site.intake, ct())
        site.clock.forward(600)
        assert site.settle.sweep()

    return act


def test_a_clinical_rule_refuses_a_model_that_nobody_accepted_and_says_so(site: Any, settled: Any) -> None:
    here = site("clinical")
    settled(here)
    assert here.worker.run_once() and here.states() == ["failed"]
    assert "not analysed: model toy is not accepted here for clinical use" in here.told()
    assert [row["kind"] for row in here.db.rows("SELECT kind FROM result")] == ["refusal"]


def test_after_acceptance_it_runs_and_a_changed_bundle_voids_it(site: Any, settled: Any) -> None:
    here = site("clinical")
    assert "is accepted by Dr Accepts on 3 cases" in here.accept()
    settled(here)
    assert here.worker.run_once() and here.states() == ["done"]
    found = here.models.accepted("toy")
    assert found is not None and (found.accepted_by, found.cases) == ("Dr Accepts", 3)
    assert found.figures == [{"structure": "lesions", "cases": 3, "figures": {}}]
    text = (here.folder / "model.toml").read_text()
    (here.folder / "model.toml").write_text(text.replace("[-1000.0, 1000.0]", "[-1000.0, 999.0]", 1))
    refused = [one for one in models(here.settings) if one.verdict is Verdict.FAIL]
    assert [one.subject for one in refused] == ["rule r"]
    assert re.search(r"was changed since Dr Accepts accepted version 1.0.0 on \d{4}-", refused[0].found)
    here.accept()
    assert not [one for one in models(here.settings) if one.verdict is Verdict.FAIL]


def test_the_record_says_how_many_cases_have_figures(site: Any) -> None:
    here = site("clinical")
    told = evaluation(done=50, cases=50, evaluated=1, failed=49)
    said = accept(here.db, load_bundle(here.folder), told, "Dr A")
    assert "is accepted by Dr A on 1 of 50 cases, 49 of which were not evaluated or not wholly" in said
    found = here.models.accepted("toy")
    assert found is not None and found.cases == 1
    assert ", 1 cases" in described(load_bundle(here.folder), here.db).accepted


def test_check_warns_where_a_model_was_accepted_under_another_version_of_the_software(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = site("clinical")
    here.accept()
    assert not [one for one in models(here.settings) if "accepted" in one.found]
    monkeypatch.setattr("dicomnode.flow.models.standing.__version__", "99.0")
    (warned,) = [one for one in models(here.settings) if "accepted" in one.found]
    assert warned.verdict is Verdict.WARN and "this is 99.0" in warned.found and "models accept toy" in warned.remedy


def test_check_fails_for_a_clinical_rule_and_passes_for_research(site: Any) -> None:
    (refused,) = [one for one in models(site("clinical").settings) if one.verdict is Verdict.FAIL]
    assert refused.subject == "rule r" and "models accept toy" in refused.remedy
    assert not [one for one in models(site("research").settings) if one.verdict is Verdict.FAIL]


def test_a_disabled_model_holds_its_jobs_until_it_is_enabled(site: Any, settled: Any) -> None:
    here = site("research")
    settled(here)
    assert "1 jobs are held" in disable(here.db, here.settings, "toy", "wrong side on 3 studies")
    assert not here.worker.run_once() and here.states() == ["waiting"]
    assert "held model toy was disabled: wrong side on 3 studies" in here.told()
    (off,) = Story(here.db).backlog().disabled
    assert off == {"model": "toy", "reason": "wrong side on 3 studies", "waiting": "1"}
    assert any("is disabled" in one.found for one in models(here.settings) if one.verdict is Verdict.WARN)
    with closing(Database(here.db.path, clock=here.clock)) as after_a_restart:
        assert Models(after_a_restart).disabled("toy") == "wrong side on 3 studies"
    assert "1 jobs wait" in enable(here.db, here.settings, "toy")
    assert here.worker.run_once() and here.states() == ["done"]


def test_a_study_that_comes_while_a_model_is_disabled_waits_and_its_story_says_why(site: Any, settled: Any) -> None:
    here = site("research")
    disable(here.db, here.settings, "toy", "recalled")
    settled(here)
    assert here.states() == ["waiting"] and not here.worker.run_once()
    assert "model toy is disabled: recalled; what it would do waits" in here.told()


def test_a_job_that_runs_loses_its_lease_and_leaves_nothing(site: Any, settled: Any) -> None:
    here = site("research")
    settled(here)
    with here.db.transaction():
        job = here.jobs.claim("w", timedelta(seconds=60))
    assert job is not None
    assert "1 of which were taken from their workers" in disable(here.db, here.settings, "toy", "recalled")
    with pytest.raises(LeaseLost), here.db.transaction():
        here.jobs.finish(job, [], "too late")
    (row,) = here.db.rows("SELECT state, attempts, lease FROM job")
    assert (row["state"], row["attempts"], row["lease"]) == ("waiting", 0, "")
    assert not here.db.rows("SELECT * FROM result")
    enable(here.db, here.settings, "toy")
    assert here.worker.run_once() and here.states() == ["done"]


def test_other_models_go_on(site: Any, settled: Any) -> None:
    here = site("research")
    settled(here)
    with here.db.transaction():
        here.models.disable("another", "recalled")
    assert here.worker.run_once() and here.states() == ["done"]


@pytest.fixture
def refusals(site: Any) -> Iterator[Callable[..., str]]:
    here = site("research")

    def told(act: Callable[[], Any]) -> str:
        with pytest.raises(DicomNodeError) as refused:
            act()
        assert here.models.accepted("toy") is None
        return str(refused.value)

    told.site = here  # type: ignore[attr-defined]
    yield told


def test_what_cannot_be_accepted_is_not(refusals: Any) -> None:
    here: Site = refusals.site
    spec = load_bundle(here.folder)
    assert "cases are left" in refusals(lambda: accept(here.db, spec, evaluation(done=2), "A"))
    nothing = [{**FIGURES[0], "cases": 0}]
    assert "not one case" in refusals(lambda: accept(here.db, spec, evaluation(figures=nothing), "A"))
    assert "the person who answers" in refusals(lambda: acceptable(spec, " "))
    (here.folder / "model.onnx").write_bytes(b"another network")
    assert "SHA-256" in refusals(lambda: accept(here.db, spec, evaluation(), "A"))
    text = (here.folder / "model.toml").read_text()
    (here.folder / "model.toml").write_text(text.replace('"research"', '"demo"', 1))
    assert "not for use on patients" in refusals(lambda: acceptable(load_bundle(here.folder), "A"))


def test_a_model_that_marks_nothing_is_accepted_on_a_persons_word_and_check_names_that_way(site: Any) -> None:
    here = site("clinical")
    shutil.rmtree(here.folder)
    shutil.copytree(shipped("models") / "measure-contours", here.folder)
    text = (here.folder / "model.toml").read_text()
    (here.folder / "model.toml").write_text(text.replace('"measure-contours"', '"toy"', 1))
    spec = load_bundle(here.folder)
    (refused,) = [one for one in models(here.settings) if one.verdict is Verdict.FAIL]
    assert "`dicomnode models accept toy --by WHO`" in refused.remedy
    with pytest.raises(ConfigError, match="task measure are not evaluated"):
        grounds(spec, Path("cases"))
    grounds(spec, None)
    assert "without figures" in accept_unmeasured(here.db, spec, " Dr Accepts ")
    assert described(spec, here.db).accepted.endswith("without figures")
    assert not [one for one in models(here.settings) if one.verdict is Verdict.FAIL]


def test_a_model_that_marks_something_is_not_accepted_without_cases(site: Any) -> None:
    with pytest.raises(ConfigError, match="needed a folder of local cases"):
        grounds(load_bundle(site("clinical").folder), None)


def test_a_slip_of_the_pen_disables_nothing(site: Any) -> None:
    here = site("research")
    with pytest.raises(ConfigError, match="known: toy"):
        disable(here.db, here.settings, "tooy", "recalled")
    with pytest.raises(ConfigError, match="not disabled"):
        enable(here.db, here.settings, "toy")
