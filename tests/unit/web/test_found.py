"""What was found, by the REST interface: numbers of reports, pictures, and results as files."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from threading import Event

import pytest
from httpx import ASGITransport, AsyncClient

from dicomnode.domain.role import Role
from dicomnode.flow.shown import measured
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.web import previews
from tests.conftest import Hands
from tests.owing import owe
from tests.unit.web.served import Served


@pytest.fixture
def served(db: Database, files: Files, tmp_path: Path, clock: Hands) -> Served:
    owe(db, files)
    db.execute("UPDATE result SET digest = 'd' || result_id")
    return Served(db, tmp_path, clock)


def test_numbers_are_told_as_the_report_has_them(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "numbers", lambda _: (("Nodule 1", "Volume", "0.0423", "cm³"),))
    (job,) = served.client(Role.VIEWER).get("/api/studies/1/measurements").json()["jobs"]
    assert job["measured"] == [{"about": "Nodule 1", "what": "Volume", "value": "0.0423", "unit": "cm³"}]
    assert job["not_shown"] == "" and job["run"] == 1
    assert served.client(Role.VIEWER).get("/api/studies/9/measurements").status_code == 404


def test_numbers_that_were_taken_back_are_not_told(
    served: Served, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = served.client(Role.VIEWER).get("/api/studies/1/measurements").json()["jobs"]
    assert job["measured"] == [] and "not here any more" in job["not_shown"]
    monkeypatch.setattr(measured, "numbers", lambda _: (("Nodule 1", "Volume", "0.0423", "cm³"),))
    db.execute("UPDATE job SET retracted = 'wrong side'")
    (job,) = served.client(Role.VIEWER).get("/api/studies/1/measurements").json()["jobs"]
    assert job["measured"] == []


def test_a_result_and_a_picture_are_had_by_programs_too(
    served: Served, db: Database, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files.folder / "seg").write_bytes(b"the bytes of a SEG")
    db.execute("UPDATE result SET sop_instance_uid = '9.7' WHERE role = 'seg'")
    monkeypatch.setattr(previews, "preview", lambda *_, sees_names: b"a picture")
    sees, blind = served.client(Role.VIEWER, sees_names=True), served.client(Role.ADMINISTRATOR)
    assert blind.get("/api/studies/1/results/9.7").status_code == 403
    assert sees.get("/api/studies/1/results/9.8").status_code == 404
    assert sees.get("/api/studies/1/results/9.7").content == b"the bytes of a SEG"
    trail = "".join(path.read_text() for path in (served.settings.store.folder / "audit").glob("*.log"))
    assert "seg was downloaded" in trail
    picture = blind.get("/api/studies/1/pictures/1")
    assert picture.content == b"a picture" and picture.headers["Content-Type"] == "image/png"
    again = blind.get("/api/studies/1/pictures/1", headers={"If-None-Match": picture.headers["ETag"]})
    assert again.status_code == 304 and blind.get("/api/studies/1/pictures/99").status_code == 404


def test_files_and_pictures_stand_in_the_description(served: Served) -> None:
    paths = served.client().get("/api/openapi.json").json()["paths"]
    for path, kind in (
        ("/api/studies/{study_uid}/pictures/{result_id}", "image/png"),
        ("/api/studies/{study_uid}/results/{sop_instance_uid}", "application/dicom"),
        ("/api/studies/{study_uid}/measurements", "application/json"),
    ):
        assert list(paths[path]["get"]["responses"]["200"]["content"]) == [kind], json.dumps(paths[path])


def test_many_who_want_one_picture_have_it_drawn_once_and_keep_nobody_from_being_answered(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, answered = Event(), Event()
    drawn: list[bool] = []

    def draw(*_: object, sees_names: bool) -> bytes:
        drawn.append(sees_names)
        begun.set()
        assert answered.wait(30)
        return b"a picture"

    monkeypatch.setattr(previews, "preview", draw)
    header = {"Authorization": served.client(Role.VIEWER).headers["Authorization"]}

    async def ask() -> list[bytes]:
        async with AsyncClient(transport=ASGITransport(served.app), base_url="http://localhost") as client:
            # More than there are threads for requests.
            asked = [asyncio.create_task(client.get("/api/studies/1/pictures/1", headers=header)) for _ in range(50)]
            assert await asyncio.to_thread(begun.wait, 30)
            assert (await client.get("/api/caller", headers=header)).status_code == 200
            answered.set()
            return [(await one).content for one in asked]

    assert asyncio.run(ask()) == [b"a picture"] * 50 and drawn == [False]
