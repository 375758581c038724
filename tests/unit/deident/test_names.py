"""Pseudonyms, dates and the secret that both depend on."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from dicomnode.deident.dates import shifted
from dicomnode.deident.pseudonym import Pseudonyms
from dicomnode.deident.secret import CREDENTIAL, read_secret, secret_for
from dicomnode.domain.errors import ConfigError

NAMES = Pseudonyms(secret=b"a secret of sixteen bytes or more")


@given(st.text("0123456789.", min_size=1, max_size=64))
def test_a_uid_becomes_a_valid_one_and_always_the_same(uid: str) -> None:
    other = NAMES.uid(uid)
    assert UID(other).is_valid and other != uid and other == Pseudonyms(secret=NAMES.secret).uid(uid)


def test_patients_move_by_different_spans_of_at_most_ten_years() -> None:
    days = [NAMES.shift_days(f"P{number}") for number in range(2000)]
    assert min(days) >= 1 and max(days) <= 3650 and len(set(days)) > 1400


def test_names_of_different_kinds_do_not_betray_each_other() -> None:
    assert NAMES.name("patient", "P1") != NAMES.name("tracking", "P1")


def test_a_short_secret_is_none() -> None:
    with pytest.raises(ValueError, match="has 5 bytes, needed are 16"):
        Pseudonyms(secret=b"short")


@given(st.dates(date(1900, 1, 1)), st.integers(1, 3650))
def test_a_date_moves_by_whole_days(day: date, days: int) -> None:
    assert shifted("DA", day.strftime("%Y%m%d"), days) == (day - timedelta(days=days)).strftime("%Y%m%d")


@pytest.mark.parametrize(
    ("vr", "before", "after"),
    [
        ("DA", "20240301", "20240229"),
        ("DA", "2024.03.01", "20240229"),
        ("DA", "LOGME", ""),
        ("DA", "20240230", ""),
        ("TM", "101112.5 ", "101112.5"),
        ("TM", "DONT LOGME", ""),
        ("DT", "20240301101112.123456+0100", "20240229101112.123456+0100"),
        ("DT", "202403", "202402"),
        ("DT", "2024", "2023"),
        ("DT", "born 2024", ""),
    ],
)
def test_values_keep_their_form_and_what_is_no_date_goes(vr: str, before: str, after: str) -> None:
    assert shifted(vr, before, 1) == after


def test_a_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    first = secret_for(path)
    assert secret_for(path) == first == read_secret(str(path)) and len(first) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret_for(None) != secret_for(None)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"x" * 32)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_secret(str(path))


def test_a_short_or_missing_secret_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "short").write_bytes(b"x")
    for named, remedy in ((str(tmp_path / "short"), "openssl rand 32"), (str(tmp_path / "none"), "No such file")):
        with pytest.raises(ConfigError, match=remedy):
            read_secret(named)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigError, match="LoadCredential"):
        read_secret("")


def test_systemd_may_hand_the_secret_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / CREDENTIAL).write_bytes(b"x" * 32)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_secret("") == b"x" * 32
