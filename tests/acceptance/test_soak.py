"""Short forms of what `make soak` does for long: many associations at once, many studies one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.crowd import crowd
from tests.torture.million import compare
from tests.torture.procession import procession

pytestmark = pytest.mark.acceptance


def test_what_many_associations_at_once_were_told_to_be_stored_is_stored(tmp_path: Path) -> None:
    found = crowd(tmp_path, associations=32, images=10, seconds=5.0)
    assert (found.lost, found.refused) == (0, 0)
    assert found.acknowledged >= 32 * 10 and found.acknowledged % 10 == 0


def test_many_studies_have_their_results_delivered_and_no_process_grows_with_them(tmp_path: Path) -> None:
    found = procession(tmp_path, studies=24, warm=12)
    assert found.delivered == 2 * 24
    # What is left out after so few is caches that fill; `make soak` holds it to 5 % after 100 studies.
    assert all(found.growth(role) < 0.2 for role in found.early_mib), found


def test_questions_of_the_loops_take_no_longer_in_a_store_of_many_studies(tmp_path: Path) -> None:
    found = compare(tmp_path, few=300, many=60_000, rounds=3)
    few, many = found["C-STORE"]
    assert many < 2 * few, "the machine may be busy with something else; `make soak` holds it to 1.2 of a million"
    assert all(many < 0.02 for name, (_, many) in found.items() if name not in {"C-STORE", "status"}), found
