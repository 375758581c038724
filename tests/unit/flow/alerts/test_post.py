"""Who is to be told is told of everything once, whatever dies; a flood is gathered; no patient is named unasked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from smtplib import SMTPAuthenticationError, SMTPDataError, SMTPRecipientsRefused
from typing import Any

import pytest

from dicomnode.config import Settings, parse
from dicomnode.config.alerts import NotifyTable
from dicomnode.domain.notice import Message, Topic
from dicomnode.domain.study import Arrival
from dicomnode.flow.alerts.conditions import conditions
from dicomnode.flow.alerts.post import Post
from dicomnode.flow.alerts.refusal import is_refusal
from dicomnode.flow.alerts.request import NotTaken
from dicomnode.flow.alerts.text import text
from dicomnode.flow.flag import flag
from dicomnode.flow.metrics.machine import machine
from dicomnode.flow.retention.disk import Disk
from dicomnode.flow.show import show_backlog
from dicomnode.store.counts import Counts
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.notices import forget
from dicomnode.store.story import Story
from dicomnode.store.studies import Standing, Studies
from tests.certificates import Authority
from tests.conftest import Hands, MakeArrival

STUDY = "1.2.3"


@dataclass
class Receiver:
    """Takes messages, or raises."""

    messages: list[Message] = field(default_factory=list)
    error: Exception | None = None
    tries: int = 0

    def __call__(self, message: Message, table: NotifyTable, node: str) -> str:
        self.tries += 1
        if self.error is not None:
            raise self.error
        self.messages.append(message)
        return ""


def configured(folder: Path, **more: Any) -> Settings:
    table = {"name": "desk", "on": ["failed", "held", "flagged"], "url": "http://127.0.0.1:1/", **more}
    return parse(
        {
            "store": {"folder": str(folder)},
            "notify": [table],
            "peer": [{"name": "P", "aet": "P", "host": "h", "port": 1, "accept_research": True}],
            "rule": [
                {"name": name, "model": "m", "series": {"Modality": "CT"}, "destinations": ["P"]}
                for name in ("r", "other")
            ],
        }
    )  # fmt: skip


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def study(db: Database, files: Files, make_arrival: MakeArrival) -> str:
    """A study with a job of rule `r` that runs."""
    with db.transaction():
        come(db, files, make_arrival(PatientName="DONT^LOGME", PatientBirthDate="19700101"))
        add_job(db, STUDY, "r")
    return STUDY


def add_job(db: Database, study: str, rule: str, run: int = 1) -> int:
    return db.insert(
        "INSERT INTO job (study_instance_uid, changed_at, created_at, revision, rule, model, series_instance_uid,"
        " frame_of_reference_uid, input_digest, recipe_digest, run, priority, outputs, destinations, refusal,"
        " not_before, state) VALUES (?, ?, ?, 1, ?, 'toy', '1.2.3.4', '1', 'a', ?, ?, 0, '[]', '[]', '', ?, 'running')",
        study, db.now(), db.now(), rule, rule, run, db.now(),
    )  # fmt: skip


def come(db: Database, files: Files, arrival: Arrival) -> None:
    Studies(db, files).add(arrival, "studies/a", Standing.CURRENT)


def fail(db: Database, reason: str = "the runtime gave up") -> None:
    with db.transaction():
        db.execute("UPDATE job SET state = 'failed', reason = ?, changed_at = ?", reason, db.now())


def post(db: Database, receiver: Receiver, **more: Any) -> Post:
    settings = configured(db.path.parent, **more)
    full = Disk(used_bytes=10, free_bytes=90)
    return Post(db, settings, settings.notify[0], receiver, lambda _folder: full)


def run(it: Post) -> None:
    while it.run_once():
        pass


def told(receiver: Receiver) -> list[str]:
    return [f"{one.topic}: {one.text}" for message in receiver.messages for one in message.notices]


def hold(db: Database, files: Files, study: str = STUDY) -> None:
    with db.transaction():
        Studies(db, files).hold(study, "two images of the UID 1.2.3.4.1 differ")


def test_what_happened_before_somebody_was_to_be_told_is_not_told(db: Database, study: str, receiver: Receiver) -> None:
    fail(db)
    run(post(db, receiver))
    assert receiver.messages == []


def test_a_failure_is_told_once_and_survives_that_the_process_ends(
    db: Database, study: str, receiver: Receiver, clock: Hands
) -> None:
    post(db, receiver)
    fail(db)
    run(post(db, receiver))
    clock.forward(3600)
    run(post(db, receiver))
    assert told(receiver) == ["failed: model toy: the runtime gave up"]
    (notice,) = receiver.messages[0].notices
    assert (notice.study_instance_uid, notice.rule) == (study, "r")


def test_a_receiver_that_is_away_is_tried_with_growing_pauses_under_the_same_id(
    db: Database, study: str, receiver: Receiver, clock: Hands
) -> None:
    it = post(db, receiver)
    receiver.error = ConnectionRefusedError(111, "Connection refused")
    fail(db)
    run(it)
    tries = []
    for _ in range(40):
        clock.forward(30)
        before = receiver.tries
        run(it)
        tries.append(receiver.tries - before)
    assert [n for n, tried in enumerate(tries, start=1) if tried] == [1, 3, 7, 15, 31], "after 30 s, 60 s, 120 s …"
    known = db.row("SELECT message_id FROM message")
    receiver.error = None
    clock.forward(1800)
    run(it)
    assert known is not None and [one.message_id for one in receiver.messages] == [known["message_id"]]


def test_a_message_is_given_up_after_its_time_with_an_event_and_what_came_later_is_tried_on_its_own(
    db: Database, study: str, receiver: Receiver, clock: Hands, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    it = post(db, receiver, give_up_hours=1)
    receiver.error = OSError("answered 500")
    fail(db)
    for _ in range(10):
        run(it)
        clock.forward(599)
    hold(db, files)
    run(it)
    event = db.row("SELECT * FROM event WHERE entity = 'notify'")
    assert event is not None and (event["entity_id"], event["arrow"]) == ("desk", "given up")
    assert "1 failed" in event["detail"] and "answered 500" in event["detail"]
    backlog = Story(db).backlog()
    assert [(one["notify"], one["state"]) for one in backlog.untold][-1] == ("desk", "given up")
    receiver.error = None
    clock.forward(3600)
    run(it)
    assert told(receiver) == ["held: held until an operator decides"]


def test_what_a_receiver_does_not_take_holds_back_nothing_else(
    db: Database, study: str, clock: Hands, files: Files
) -> None:
    class Fussy(Receiver):
        def __call__(self, message: Message, table: NotifyTable, node: str) -> str:
            if Topic.FAILED in message.counts:
                raise NotTaken("answered 400 Bad Request", 400)
            return super().__call__(message, table, node)

    it = post(db, fussy := Fussy())
    fail(db)
    run(it)
    hold(db, files)
    clock.forward(60)
    run(it)
    assert told(fussy) == ["held: held until an operator decides"]
    waiting = db.rows("SELECT refused, attempts FROM message WHERE state = 'waiting'")
    assert [tuple(row) for row in waiting] == [(1, 1)] or [tuple(row) for row in waiting] == [(1, 2)]


def test_a_receiver_that_takes_nothing_gets_a_few_messages_and_then_everything_at_once(
    db: Database, study: str, receiver: Receiver, clock: Hands, files: Files
) -> None:
    it = post(db, receiver)
    receiver.error = NotTaken("answered 404 Not Found", 404)
    for _ in range(20):
        hold(db, files)
        clock.forward(60)
        run(it)
    assert len(db.rows("SELECT 1 FROM message WHERE state = 'waiting'")) == 4
    receiver.error = None
    for _ in range(10):
        clock.forward(1800)
        run(it)
    assert sum(sum(one.counts.values()) for one in receiver.messages) == 20 and len(receiver.messages) == 5


def test_what_is_urgent_waits_behind_nothing_that_is_not(
    db: Database, study: str, receiver: Receiver, clock: Hands
) -> None:
    it = post(db, receiver, on=["urgent", "flagged"])
    receiver.error = ConnectionRefusedError(111, "Connection refused")
    flag(db, STUDY, "wrong", "x")
    for _ in range(8):
        run(it)
        clock.forward(1800)
    flag(db, STUDY, "wrong again", "x")
    run(it)
    receiver.error = None
    finish(db, "haemorrhage")
    run(it)
    assert [one.topic for one in receiver.messages[0].notices] == [Topic.URGENT, Topic.FLAGGED]
    clock.forward(1800)
    run(it)
    assert [list(one.counts) for one in receiver.messages] == [[Topic.URGENT, Topic.FLAGGED], [Topic.FLAGGED]]


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (NotTaken("answered 413", 413), True), (NotTaken("answered 500", 500), True),
        (NotTaken("answered 503", 503), False), (NotTaken("answered 429", 429), False), (NotTaken("gibberish"), False),
        (SMTPDataError(552, b"full"), True), (SMTPDataError(451, b"later"), False),
        (SMTPRecipientsRefused({"a@b": (550, b"")}), True), (SMTPRecipientsRefused({"a@b": (450, b"")}), False),
        (SMTPAuthenticationError(535, b"wrong"), False), (TimeoutError(), False),
        (UnicodeEncodeError("a", "", 0, 1, ""), True),
    ],
)  # fmt: skip
def test_a_receiver_that_is_away_is_told_from_one_that_does_not_take_a_message(error: Exception, refused: bool) -> None:
    assert is_refusal(error) is refused


def finish(db: Database, urgent: str, run: int = 1) -> None:
    """Job number `run` of the rule on the study ends with that."""
    with db.transaction():
        job = add_job(db, STUDY, "r", run) if run > 1 else db.rows("SELECT MIN(job_id) AS job_id FROM job")[0]["job_id"]
        db.execute(
            "INSERT INTO outcome (job_id, ended_at, model, version, ending, manufacturer, scanner, station, urgent)"
            " VALUES (?, ?, 'toy', '1', 'done', '', '', '', ?)",
            job, db.now(), urgent,
        )  # fmt: skip
        db.execute("UPDATE job SET state = 'done', changed_at = ? WHERE job_id = ?", db.now(), job)


def test_what_was_found_then_not_found_and_is_found_again_is_told_again(
    db: Database, study: str, receiver: Receiver, clock: Hands
) -> None:
    it = post(db, receiver, on=["urgent"])
    told_after = []
    for number, urgent in enumerate(("haemorrhage", "haemorrhage", "", "haemorrhage"), start=1):
        finish(db, urgent, number)
        clock.forward(600)
        run(it)
        told_after.append(len(receiver.messages))
    assert told_after == [1, 1, 1, 2]


def test_a_disk_that_cannot_be_looked_at_is_told_and_stops_nothing(
    db: Database, study: str, receiver: Receiver, clock: Hands
) -> None:
    def broken(_folder: Path) -> Disk:
        raise OSError(5, "Input/output error")

    settings = configured(db.path.parent, on=["flagged", "disk"])
    it = Post(db, settings, settings.notify[0], receiver, broken)
    flag(db, STUDY, "wrong", "x")
    for _ in range(3):
        run(it)
        clock.forward(61)
    assert told(receiver) == [
        "flagged: a reader complains of the results",
        "disk: the disk of the store cannot be asked how full it is: Input/output error",
    ]


def test_a_flood_is_gathered_and_no_more_than_one_message_goes_out_in_its_pause(
    db: Database, files: Files, receiver: Receiver, clock: Hands, make_arrival: MakeArrival
) -> None:
    it = post(db, receiver)
    for number in range(60):
        with db.transaction():
            study = f"1.2.{number}"
            come(db, files, make_arrival(study=study, series=f"{study}.4"))
        hold(db, files, study)
        run(it)
        clock.forward(1)
    run(it)
    assert [message.counts for message in receiver.messages] == [{Topic.HELD: 1}, {Topic.HELD: 59}]
    assert len(receiver.messages[1].notices) == 20 and "and 39 more" in text(receiver.messages[1], "N")


def test_only_the_rules_that_are_asked_for_are_told_of(
    db: Database, study: str, receiver: Receiver, files: Files
) -> None:
    it = post(db, receiver, rules=["other"])
    fail(db)
    hold(db, files)
    run(it)
    assert receiver.messages == []
    with db.transaction():
        add_job(db, STUDY, "other")
    hold(db, files)
    run(it)
    assert [one.split(":")[0] for one in told(receiver)] == ["held"]


def test_the_patient_is_named_only_to_who_may_have_that(
    db: Database, study: str, files: Files, clock: Hands, make_arrival: MakeArrival
) -> None:
    plain, private = Receiver(), Receiver()
    settings = configured(db.path.parent)
    asked = settings.notify[0].model_copy(update={"name": "ward", "patient": True})
    low = Disk(used_bytes=10, free_bytes=90)
    ways = ((settings.notify[0], plain), (asked, private))
    both = [Post(db, settings, table, receiver, lambda _: low) for table, receiver in ways]
    flag(db, STUDY, "DONT LOGME has no such lesion", "Dr LOGME")
    with db.transaction():
        result = db.insert(
            "INSERT INTO result (job_id, role, kind, sop_class_uid, sop_instance_uid, series_instance_uid,"
            " transfer_syntax_uid, digest, size_bytes, path, created_at) VALUES (1, 'sr', 'sr', '1', '2', '3', '4', '',"
            " 1, 'p', '')"
        )
        db.execute(
            "INSERT INTO delivery (result_id, job_id, study_instance_uid, sop_instance_uid, destination, state,"
            " changed_at) VALUES (?, 1, ?, '2', 'PACS', 'running', '')",
            result, STUDY,
        )  # fmt: skip
        db.execute(
            "UPDATE delivery SET state = 'failed', status = 0xA900, reason = 'patient DONT^LOGME is unknown',"
            " changed_at = ?",
            db.now(),
        )
    for it in both:
        run(it)
    assert told(plain) == [
        "failed: sr was not delivered to PACS with status A900",
        "flagged: a reader complains of the results",
    ]
    assert "LOGME" not in text(plain.messages[0], "N") and "19700101" not in text(plain.messages[0], "N")
    words = text(private.messages[0], "N")
    assert "patient DONT^LOGME, ID P1, born 19700101" in words and "Dr LOGME: DONT LOGME has no such lesion" in words
    assert "patient DONT^LOGME is unknown" in words


def test_a_full_disk_is_told_once_and_again_when_it_was_well_in_between(
    db: Database, receiver: Receiver, clock: Hands
) -> None:
    settings = configured(db.path.parent, on=["disk"])
    free = [90]
    it = Post(db, settings, settings.notify[0], receiver, lambda _: Disk(used_bytes=100 - free[0], free_bytes=free[0]))
    for percent in (90, 5, 5, 1, 1, 90, 5):
        free[0] = percent
        clock.forward(61)
        run(it)
    assert [one.split(" is ")[1][:4] for one in told(receiver)] == ["95.0", "99.0", "95.0"]
    assert "nothing is taken in any more" in told(receiver)[1]


def test_a_silent_peer_is_told(db: Database, receiver: Receiver, clock: Hands) -> None:
    it = post(db, receiver, on=["peer"])
    with db.transaction():
        db.execute("INSERT INTO backoff VALUES ('PACS', 7, ?, 'refused DONT^LOGME')", db.now())
    clock.forward(61)
    run(it)
    assert receiver.messages == []
    with db.transaction():
        db.execute("UPDATE backoff SET failures = 8")
    clock.forward(61)
    run(it)
    (words,) = told(receiver)
    assert words.startswith("peer: PACS does not answer") and "LOGME" not in words


def test_what_is_owed_to_a_former_entry_is_dropped_and_counted(db: Database, study: str, receiver: Receiver) -> None:
    it = post(db, receiver)
    fail(db)
    receiver.error = OSError("away")
    run(it)
    with db.transaction():
        db.execute("INSERT INTO notice (notify, topic, happened_at, study_instance_uid, rule, text)"
                   " VALUES ('desk', 'held', ?, '', '', '')", db.now())  # fmt: skip
        assert forget(db, ["desk"]) == 0
        assert forget(db, []) == 2, "what waits in a message is not sent either"
    told_of = db.row("SELECT arrow, detail FROM event WHERE entity = 'notify' AND entity_id = 'desk'")
    assert told_of is not None and told_of["arrow"] == "given up" and "2 notices were not sent" in told_of["detail"]
    assert not db.rows("SELECT 1 FROM message UNION ALL SELECT 1 FROM notice_mark UNION ALL SELECT 1 FROM notice")


def test_a_complaint_stands_in_the_story_and_in_the_status(
    db: Database, study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    done = flag(db, STUDY, "no such nodule", "Dr Weber")
    assert done == f"study {STUDY}: flagged, though no model has analysed it"
    (line,) = (one for one in Story(db).why(STUDY) if one.arrow == "flagged")
    assert line.detail == "by Dr Weber: no such nodule"
    show_backlog(Story(db).backlog(), Console(width=200))
    assert "flagged study 1.2.3, 2026-11-21, by Dr Weber: no such nodule" in capsys.readouterr().out


def test_every_certificate_that_the_configuration_names_is_looked_at(
    db: Database, receiver: Receiver, clock: Hands, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "authority")
    own = authority.issue("node")
    settings = parse(
        {
            "store": {"folder": str(db.path.parent)},
            "web": {"port": 11180, "certificate": str(own.certificate), "key": str(own.key)},
            "audit": {"syslog_host": "arr", "syslog_ca": str(authority.certificate)},
            "tls": {"ca": str(tmp_path / "gone.pem")},
        }
    )
    clock.forward((datetime.now(UTC) - clock()).total_seconds())
    assert [key for key, *_ in conditions(db, settings, (Topic.CERTIFICATE,))] == ["fail tls.ca"]
    clock.forward(30 * 365 * 86400)
    keys = {key.split()[1] for key, *_ in conditions(db, settings, (Topic.CERTIFICATE,))}
    measured = {labels[0] for name, labels, _ in machine(Counts(db), db, settings) if "certificate" in name}
    assert keys == measured == {"tls.ca", "web.certificate", "audit.syslog_ca"}
