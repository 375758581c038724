"""Where the time of a study went."""

from __future__ import annotations

from dicomnode.flow.shown.spans import Span, spans
from dicomnode.store.story import Arrivals, Line

ARRIVALS = Arrivals(first_at="2026-11-21T08:00:00.000000Z", last_at="2026-11-21T08:00:10.000000Z", instances=300)


def line(seconds: float, entity: str, entity_id: str, arrow: str, detail: str = "") -> Line:
    return Line(at=f"2026-11-21T08:00:{seconds:09.6f}Z", entity=entity, entity_id=entity_id, arrow=arrow, detail=detail)


STORY = [
    line(0, "study", "revision 1", "opened"),
    line(12, "study", "revision 1", "settled", "association closed and quiet for 2 s"),
    line(12, "job", "7 (lung)", "created"),
    line(12.5, "job", "7 (lung)", "claimed", "by work-1"),
    line(20, "job", "7 (lung)", "finished", "read 1.00 s, infer 5.00 s, report 1.00 s; no key image"),
    line(20.5, "delivery", "seg to PACS", "claimed"),
    line(20.5, "delivery", "sr to PACS", "claimed"),
    line(22, "delivery", "seg to PACS", "finished", "0000 Success"),
    line(23, "delivery", "sr to PACS", "finished", "0000 Success"),
]


def told(found: list[Span]) -> list[tuple[str, float, float, str]]:
    return [(one.what, one.since_last_instance_seconds, one.seconds, one.detail) for one in found]


def test_every_second_between_the_last_instance_and_the_last_answer_belongs_to_one_line() -> None:
    found = spans(STORY, ARRIVALS)
    assert told(found) == [
        ("instances arriving", 0.0, 10.0, "300 instances"),
        ("study settled, revision 1", 2.0, 2.0, "association closed and quiet for 2 s"),
        ("job 7 (lung): queued", 2.5, 0.5, ""),
        ("job 7 (lung): read", 3.5, 1.0, ""),
        ("job 7 (lung): infer", 8.5, 5.0, ""),
        ("job 7 (lung): report", 9.5, 1.0, ""),
        ("job 7 (lung): keep and commit", 10.0, 0.5, "no key image"),
        ("results for PACS: waiting to be sent", 10.5, 0.5, ""),
        ("seg to PACS: acknowledged", 12.0, 1.5, "0000 Success"),
        ("sr to PACS: acknowledged", 13.0, 1.0, "0000 Success"),
    ]
    assert sum(one.seconds for one in found[1:]) == 13.0


def test_a_job_that_is_tried_again_has_a_line_for_each_try() -> None:
    tries = [
        line(12, "job", "7 (lung)", "created"),
        line(13, "job", "7 (lung)", "claimed", "by work-1"),
        line(15, "job", "7 (lung)", "retried", "its process died"),
        line(25, "job", "7 (lung)", "claimed", "by work-2"),
        line(26, "job", "7 (lung)", "failed", "not analysed: too few slices"),
    ]
    assert told(spans(tries, ARRIVALS))[1:] == [
        ("job 7 (lung): queued", 3.0, 1.0, ""),
        ("job 7 (lung): retried", 5.0, 2.0, "its process died"),
        ("job 7 (lung): queued", 15.0, 10.0, ""),
        ("job 7 (lung): failed", 16.0, 1.0, "not analysed: too few slices"),
    ]


def test_a_study_of_which_nothing_is_in_the_books_has_no_times() -> None:
    assert spans([], None) == []
