"""What Prometheus reads: its own parser understands it, and nobody else may read it unless that is wanted."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dicomnode.config import Settings, parse
from dicomnode.domain.role import Role
from dicomnode.flow import pulse
from dicomnode.flow.intake import Intake
from dicomnode.flow.metrics.families import FAMILIES
from dicomnode.flow.metrics.gpu import Gpu
from dicomnode.flow.metrics.reading import Histogram, read
from dicomnode.store.counts import Counts
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.web_tokens import WebTokens
from dicomnode.web.app import create_app
from dicomnode.web.desk import Desk
from dicomnode.web.metrics import exposition
from tests.certificates import Authority
from tests.conftest import MakeArrival

PEERS = [{"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": 104}]


def settings(files: Files, **tables: object) -> Settings:
    return parse({"store": {"folder": str(files.folder)}, "peer": PEERS, **tables})


def get(one: Settings, address: str = "127.0.0.1", **headers: str) -> httpx.Response:
    """The answer to whoever asks for the metrics from this address."""
    app = create_app(Desk(settings=one, path=Path("dicomnode.toml")))

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=(address, 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as web:
            return await web.get("/metrics", headers={name.replace("_", "-"): value for name, value in headers.items()})

    return asyncio.run(ask())


def values(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode()) for sample in family.samples
    }  # fmt: skip


def test_objects_are_counted_by_the_peer_that_sent_them(db: Database, files: Files, make_arrival: MakeArrival) -> None:
    intake = Intake(db, files, ())
    first, again, other = make_arrival(1), make_arrival(1), make_arrival(2, peer="CT1", PatientName="DONT^LOGME")
    for one in (first, again, other):
        intake.accept(one)
    text = exposition(read(db, settings(files)))
    found = values(text)
    assert found["dicomnode_instances_received_total", (("peer", "PACS"),)] == 2
    assert found["dicomnode_received_bytes_total", (("peer", "CT1"),)] == other.size_bytes
    assert found["dicomnode_receiving_studies", ()] == 1
    assert b"LOGME" not in text and b"1.2.3.4" not in text


def test_counters_outlast_the_process(db: Database, files: Files, make_arrival: MakeArrival) -> None:
    Intake(db, files, ()).accept(make_arrival(1))
    before = values(exposition(read(db, settings(files))))["dicomnode_instances_received_total", (("peer", "PACS"),)]
    with closing(Database(db.path)) as anew:
        after = values(exposition(read(anew, settings(files))))
    assert after["dicomnode_instances_received_total", (("peer", "PACS"),)] == before == 1


def test_a_histogram_is_cumulative_and_its_last_bucket_is_its_count(db: Database, files: Files) -> None:
    name = "dicomnode_job_stage_seconds"
    with db.transaction():
        Counts(db).add({(name, ("infer", "0.5")): 3, (name, ("infer", "+Inf")): 1, (name, ("infer", "sum")): 90000.5})
    found = {family.name: samples for family, samples in read(db, settings(files))}
    ((_, histogram),) = found[name]
    assert isinstance(histogram, Histogram) and [number for _, number in histogram.buckets][:3] == [0, 3, 3]
    parsed = values(exposition(read(db, settings(files))))
    stage = ("stage", "infer")
    assert parsed[f"{name}_count", (stage,)] == 4 and parsed[f"{name}_sum", (stage,)] == 90000.5
    assert parsed[f"{name}_bucket", (("le", "+Inf"), stage)] == 4


def test_what_the_machine_says_is_there(db: Database, files: Files, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    identity = authority.issue("node", days=10)
    table = {
        "port": 2762,
        "certificate": str(identity.certificate),
        "key": str(identity.key),
        "ca": str(authority.certificate),
    }
    one = settings(files, tls=table)
    pulse.note(files.folder, "receive", datetime.now(UTC).timestamp() - 7)
    gpu = Gpu(index=0, used_bytes=5, size_bytes=10, busy=0.25)
    pulse.note(files.folder, "work")
    pulse.say(files.folder, "gpus", {"gpus": [gpu.as_json()]})
    found = values(exposition(read(db, one)))
    left = found["dicomnode_certificate_expiry_seconds", (("key", "tls.certificate"),)]
    assert 9 * 86400 < left - (datetime.now(UTC) - db.clock()).total_seconds() <= 10 * 86400
    assert 7 <= found["dicomnode_heartbeat_age_seconds", (("process", "receive"),)] < 60
    assert found["dicomnode_gpu_utilisation_ratio", (("gpu", "0"),)] == 0.25
    disk = [found[f"dicomnode_disk_{kind}_bytes", ()] for kind in ("used", "free", "reserve")]
    assert disk[2] == pytest.approx((disk[0] + disk[1]) * 0.02)
    assert found["dicomnode_build_info", next(k for n, k in found if n == "dicomnode_build_info")] == 1


def test_every_series_belongs_to_a_family_with_these_labels(db: Database, files: Files) -> None:
    known = {one.name: set(one.labels) for one in FAMILIES}
    for family, samples in read(db, settings(files)):
        assert all(len(labels) == len(family.labels) for labels, _ in samples), family.name
        assert known[family.name] == set(family.labels)


@pytest.mark.parametrize("role", list(Role))
def test_a_token_of_any_role_that_reads_will_do_and_nobody_else(db: Database, files: Files, role: Role) -> None:
    with db.transaction():
        token = WebTokens(db).add("prometheus", role, sees_names=False)
    assert get(settings(files)).status_code == 401
    answer = get(settings(files), Authorization=f"Bearer {token}")
    if role is Role.SENDER:
        assert answer.status_code == 403
        return
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain")


def test_open_metrics_are_open_on_this_machine_alone(db: Database, files: Files) -> None:
    opened = settings(files, web={"metrics_open": True})
    assert get(opened).status_code == 200
    assert get(opened, Host="127.0.0.1:11180").status_code == get(opened, "::1", Host="[::1]:11180").status_code == 200
    assert get(opened, "10.0.0.7").status_code == 401


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    "headers",
    [
        {"X_Forwarded_For": "10.0.0.7"}, {"X_Forwarded_Host": "node"}, {"X_Forwarded_Proto": "https"},
        {"Forwarded": "for=10.0.0.7"}, {"Via": "1.1 proxy"}, {"X_Real_IP": "10.0.0.7"}, {"Host": "10.0.0.3"},
        {"Host": gethostname()},
    ],
)  # fmt: skip
def test_who_comes_through_a_proxy_of_this_machine_is_not_this_machine(files: Files, headers: dict[str, str]) -> None:
    assert get(settings(files, web={"metrics_open": True}), **headers).status_code == 401


@pytest.mark.usefixtures("db")
def test_the_http_of_a_proxy_that_was_told_nothing_needs_a_token(files: Files) -> None:
    desk = Desk(settings=settings(files, web={"metrics_open": True}), path=Path("dicomnode.toml"))
    app = create_app(desk)

    async def old(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "http_version": "1.0"}, receive, send)

    async def ask() -> int:
        transport = httpx.ASGITransport(app=old, client=("127.0.0.1", 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as web:
            return (await web.get("/metrics")).status_code

    try:
        assert asyncio.run(ask()) == 401
    finally:
        desk.close()
