"""Which batch of a harmonisation a series belongs to, by what its headers say of scanner and reconstruction."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset
from pydicom.multival import MultiValue

#: Between the values of several keywords, for people to read.
_BETWEEN = " | "


def batch_of(header: Dataset, keywords: Sequence[str]) -> str | None:
    """The values of the keywords, joined; None where one is absent or empty, so that nobody knows."""
    values = []
    for keyword in keywords:
        value = header.get(keyword)
        text = "\\".join(str(one) for one in value) if isinstance(value, MultiValue) else str(value or "")
        if not text.strip():
            return None
        values.append(" ".join(text.split()))
    return _BETWEEN.join(values)
