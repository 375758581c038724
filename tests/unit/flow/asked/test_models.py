"""What is told of the models while their files are being hashed."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest

from dicomnode.domain.model import ModelSpec
from dicomnode.flow.asked import hashed, models
from dicomnode.flow.models.installed import Installed, described
from dicomnode.store.database import Database
from tests.conftest import Hands
from tests.toy import write_bundle
from tests.unit.web.served import settings_of


def test_nobody_waits_until_large_networks_are_hashed(
    db: Database, tmp_path: Path, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bundle(tmp_path / "models")
    settings = settings_of(db, tmp_path)
    may_end, done = Event(), list[str]()

    def slow(spec: ModelSpec, db: None, *, files: str = "") -> Installed:
        if not files:
            done.append(spec.name)
            assert may_end.wait(30)
        return described(spec, db, files=files)

    monkeypatch.setattr(hashed, "described", slow)
    monkeypatch.setattr(hashed, "_PATIENCE_SECONDS", 0.01)
    for _ in range(3):
        (one,) = (one for one in models.models_shown(settings, db) if one.name == "toy")
        assert (one.files, one.intact, one.version) == (hashed.CHECKING, False, "1.0.0")
    may_end.set()
    monkeypatch.setattr(hashed, "_PATIENCE_SECONDS", 30.0)
    (one,) = (one for one in models.models_shown(settings, db) if one.name == "toy")
    assert one.intact and one.files == "as declared" and done == ["toy"]
