"""What `status` prints can be read on a narrow terminal."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from dicomnode.flow.show import show_backlog
from dicomnode.store.story import Backlog

UID = "2.25.295082639921580335397985004727925366793"


def told(backlog: Backlog) -> list[str]:
    out = StringIO()
    show_backlog(backlog, Console(file=out, width=80))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def backlog(**some: Any) -> Backlog:
    empty: dict[str, Any] = {"studies": {}, "jobs": {}, "deliveries": {}, "failed": [], "held": [], "backing_off": []}
    return Backlog(**{**empty, **some})


def test_a_node_that_has_had_no_study_says_so() -> None:
    assert told(backlog()) == ["no study has come yet"]


def test_what_failed_stands_on_one_line_with_its_study_and_the_words_of_the_peer() -> None:
    answer = "A700 [red]Out of resources[/]: the quota of this archive is used up"
    failed = [{"what": "delivery to PACS", "study": UID, "reason": answer}]
    lines = told(backlog(studies={"settled": 1}, failed=failed))
    assert lines[1].split() == ["studies", "settled", "1"]
    assert lines[-1] == f"failed delivery to PACS, study {UID}: {answer}"
