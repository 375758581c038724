"""What counts when an object comes again."""

from __future__ import annotations

from dicomnode.config import parse
from dicomnode.flow.sameness import counted_keywords


def test_attributes_that_any_table_of_a_rule_looks_at_count() -> None:
    tables = {
        "study": {"StudyDescription": "x"},
        "series": {"RequestAttributesSequence.Modality": "CT"},
        "inputs": {"pet": {"Units": "BQML"}},
    }
    (rule,) = parse({"rule": [{"name": "r", "model": "m", **tables}]}).rules
    assert {"StudyDescription", "RequestAttributesSequence", "Units"} <= set(counted_keywords([rule]))
