"""A store with many rows, and what an object, a claim or a question costs there compared with a small one."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from time import perf_counter

from pydicom import dcmread

from dicomnode.domain.header import Header
from dicomnode.store.database import Database
from dicomnode.store.deadlines import Deadlines
from dicomnode.store.deliveries import Deliveries
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs
from dicomnode.store.story import Story
from dicomnode.store.studies import Studies
from tests.acceptance.phantom import make_ct
from tests.acceptance.running import Node, peer
from tests.acceptance.waiting import free_port
from tests.torture.load import Load, Template
from tests.toy import write_bundle

_SERIES, _INSTANCES_PER_SERIES = 3, 100
_AT = "2026-11-20T08:00:00.000000Z"
_RUNS = 7
_IMAGES = 40


def fill(store: Path, instances: int, header: Header) -> None:
    """Fill the database of a new store as that many received, analysed and delivered images would have."""
    Files(store)
    with closing(Database(store / "node.db")) as db:
        connection = db._connection
        for pragma in ("synchronous=OFF", "cache_size=-500000", "foreign_keys=OFF"):
            connection.execute(f"PRAGMA {pragma}")
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        connection.execute("BEGIN")
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        studies = max(1, instances // (_SERIES * _INSTANCES_PER_SERIES))
        per_series = min(_INSTANCES_PER_SERIES, instances // (studies * _SERIES))
        merged, own = json.dumps(header.merged()), json.dumps({"00200032": {"vr": "DS", "Value": [-64.0, -64.0, 1.5]}})
        chance = Random(1)
        former = any(row["name"] == "pixel_digest" for row in connection.execute("PRAGMA table_info(instance)"))
        for number in range(studies):
            study = f"1.3.{chance.getrandbits(90)}.{number}"
            _study(connection.executemany, study, number, per_series, merged, own, former)
        for _, sql in triggers:
            connection.execute(sql)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _study(
    insert: Callable[..., object], study: str, number: int, per_series: int, header: str, own: str, former: bool
) -> None:
    """One study with a job, its results and deliveries, and their story; `former` schemas also keep a pixel digest."""
    insert(
        "INSERT INTO study (study_instance_uid, state, changed_at, calling_aet, called_aet, address, peer,"
        " first_arrival_at, last_arrival_at) VALUES (?, 'settled', ?, 'CT1', 'DICOMNODE', '10.0.0.1', 'CT1', ?, ?)",
        [(study, _AT, _AT, _AT)],
    )
    insert("INSERT INTO series VALUES (?, ?, ?)", [(study, f"{study}.{one}", header) for one in range(_SERIES)])
    first = number * _SERIES * per_series
    column, value = (", pixel_digest", ", 'p'") if former else ("", "")
    insert(
        "INSERT INTO instance (instance_id, study_instance_uid, series_instance_uid, sop_class_uid, sop_instance_uid,"
        f" transfer_syntax_uid, digest, size_bytes, path, own, arrived_at, standing{column})"
        " VALUES (?, ?, ?, '1.2.840.10008.5.1.4.1.1.2', ?, '1.2.840.10008.1.2.1', ?, 526000, ?, ?, ?, 'current'"
        f"{value})",
        list(_instances(study, first, per_series, own)),
    )
    insert(
        "INSERT INTO job (job_id, study_instance_uid, state, changed_at, created_at, revision, rule, model,"
        " series_instance_uid, frame_of_reference_uid, input_digest, recipe_digest, run, priority, outputs,"
        " destinations, refusal, not_before) VALUES (?, ?, 'done', ?, ?, 1, 'dense', 'toy', ?, ?, ?, ?, 1, 0,"
        " '[\"seg\", \"sr\"]', '[\"PACS\"]', '', ?)",
        [(number + 1, study, _AT, _AT, f"{study}.0", f"{study}.9", sha256(study.encode()).hexdigest(), "r" * 64, _AT)],
    )
    insert(
        "INSERT INTO job_input VALUES (?, ?, 'ct', ?)",
        [(number + 1, position, first + position + 1) for position in range(per_series)],
    )
    results = [(2 * number + one + 1, number + 1, role, f"{study}.8.{one}") for one, role in enumerate(("seg", "sr"))]
    insert(
        "INSERT INTO result (result_id, job_id, role, kind, sop_class_uid, sop_instance_uid, series_instance_uid,"
        " transfer_syntax_uid, digest, size_bytes, path, created_at)"
        " VALUES (?, ?, ?, ?, '1.2.840.10008.5.1.4.1.1.66.4', ?, ?, '1.2.840.10008.1.2.1', ?, 90000, ?, ?)",
        [(result, job, role, role, uid, f"{study}.8", "d" * 64, f"results/{study}/{uid}", _AT)
         for result, job, role, uid in results],
    )  # fmt: skip
    insert(
        "INSERT INTO delivery (delivery_id, result_id, job_id, study_instance_uid, sop_instance_uid, destination,"
        " state, changed_at, status, attempts) VALUES (?, ?, ?, ?, ?, 'PACS', 'done', ?, 0, 1)",
        [(result, result, job, study, uid, _AT) for result, job, _, uid in results],
    )
    insert(
        "INSERT INTO event (at, study_instance_uid, entity, entity_id, arrow, detail) VALUES (?, ?, 'job', ?, ?, '')",
        [(_AT, study, f"{number} (dense)", arrow) for arrow in ("opened", "settled", "created", "claimed", "finished")],
    )


def _instances(study: str, first: int, per_series: int, own: str) -> Iterator[tuple[object, ...]]:
    for one in range(_SERIES):
        for position in range(per_series):
            number = first + one * per_series + position + 1
            uid = f"{study}.{one}.{position}"
            digest = sha256(uid.encode()).hexdigest()
            yield number, study, f"{study}.{one}", uid, digest, f"studies/{study}/{uid}.{digest}", own, _AT


def seconds_of_questions(store: Path) -> dict[str, float]:
    """How long each thing takes that the loops ask of a store in which nothing is to be done; the least of several."""
    files = Files(store)
    with closing(Database(store / "node.db")) as db:
        studies, jobs, deliveries = Studies(db, files), Jobs(db, files), Deliveries(db, files)
        lease = timedelta(seconds=60)
        questions: dict[str, Callable[[], object]] = {
            "sweep": lambda: (studies.variants(), studies.receiving(db.clock())),
            "claim": lambda: jobs.claim("work-1", lease),
            "overdue": Deadlines(db).missed,
            "outbox": lambda: (deliveries.destinations(), deliveries.due("PACS")),
            "status": Story(db).backlog,
        }
        return {name: min(_timed(ask) for _ in range(_RUNS)) for name, ask in questions.items()}


def _timed(ask: Callable[[], object]) -> float:
    begun = perf_counter()
    ask()
    return perf_counter() - begun


def compare(
    folder: Path, *, few: int = 1000, many: int = 1_000_000, rounds: int = 15
) -> dict[str, tuple[float, float]]:
    """Seconds that each thing takes with few and with many instances; of a C-STORE the median of all answers.

    Both nodes run side by side and are sent to in turns, so that what else the machine does befalls both alike.
    """
    write_bundle(folder / "models")
    ct = make_ct(folder / "ct", slices=20)
    template = Template.of(ct.files)
    header = Header.of(dcmread(ct.files[0], stop_before_pixels=True).to_json_dict())
    nodes, asked = [], []
    try:
        for count in (few, many):
            store = folder / f"store-{count}"
            fill(store, count, header)
            asked.append(seconds_of_questions(store))
            node = Node(
                folder / f"node-{count}", models=folder / "models", store=store, rules="",
                peers=[peer("PACS", "ORTHANC", free_port())], log={"level": "info"},
            )  # fmt: skip
            nodes.append(node.start())
        loads = [Load(node.port, template) for node in nodes]
        for number in range(rounds):
            for load in loads if number % 2 else loads[::-1]:
                asyncio.run(load.send(number, _IMAGES))
        assert all(len(load.acknowledged) == rounds * _IMAGES for load in loads)
        stored = tuple(statistics.median(load.seconds[_IMAGES:]) for load in loads)
        found = {name: (asked[0][name], asked[1][name]) for name in asked[0]}
        return {"C-STORE": (stored[0], stored[1]), **found}
    finally:
        for node in nodes:
            node.kill()
