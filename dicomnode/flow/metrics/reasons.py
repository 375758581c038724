"""Puts reasons that are told in words into a few classes, since each word of a label is one more series to keep."""

from __future__ import annotations

import re

from dicomnode.domain.outcome import Ending

#: Class of why there was no analysis → what its texts have in common; the first that fits counts.
_CLASSES = (
    ("abandoned", r"the study was abandoned"),
    ("identity", r"instances of the study disagree"),
    ("not accepted", r"\baccepted\b"),
    ("memory", r"\bmemory\b"),
    ("attempts", r"ended without a result"),
    ("changed", r"was changed since this job was made"),
    ("removed", r"\bremoved\b"),
    ("missing input", r"no series|no images|\blacks?\b|\bmissing\b|no contours|no FrameOfReference"),
    ("geometry", r"slice|orientation|gantry|spacing|direction cosines|position|\bgap\b"),
    ("pixels", r"pixel|decode|rescale|look-up|greyscale|bits"),
    ("report", r"no report could be written"),
    ("model", r"^(?:model|bundle) |onnxruntime|no such bundle"),
)

#: Every value of the label.
REASONS = ("quality", *(name.replace(" ", "_") for name, _ in _CLASSES), "unsuitable", "fault")


def reason_class(text: str, ending: str) -> str:
    """The class of "not analysed: text" of a job that the books say ended so (`domain.outcome.Ending`)."""
    if ending == Ending.BLOCKED:
        return "quality"
    for name, pattern in _CLASSES:
        if re.search(pattern, text):
            return name.replace(" ", "_")
    return "unsuitable" if ending == Ending.UNSUITABLE else "fault"
