"""Result UIDs derived from what was analysed, so that a repeated job makes the same ones."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Root of all names below; a constant of this project, generated once with uuid4.
_NAMESPACE = uuid.UUID("6f1b1f0e-6d0a-4f0e-9d0c-3f5d5d7b8f2a")

#: PS3.5 9.1 with a blind eye for leading zeros in a component, which old devices write; nothing that could be a path.
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
LONGEST_UID = 64


#: How every Study Instance UID of `dicomnode check --round-trip` begins, and no other: 2.25 and a UUID of version 8
#: (RFC 9562 5.8) whose first 64 bits are fixed, so that such a study is known for what it is wherever it turns up.
CHECK_ROOT = "2.25.33567405346820373766"
_CHECK_BITS = 0xFC88789AD9A28814


def check_study_uid() -> str:
    """A new Study Instance UID below `CHECK_ROOT`."""
    return f"2.25.{_CHECK_BITS << 64 | uuid.uuid4().int & (1 << 64) - 1}"


def is_check(study_instance_uid: str) -> bool:
    """Whether a study was made by this program to test the way through a node; it counts in no statistics."""
    return study_instance_uid.startswith(CHECK_ROOT)


def is_uid(text: str) -> bool:
    """Whether `text` has the form of a UID and can therefore be part of a file name."""
    return len(text) <= LONGEST_UID and _UID.fullmatch(text) is not None


def derived_uid(*parts: str) -> str:
    """A UID under 2.25 (PS3.5 B.2) that depends on `parts` alone."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(31).join(parts)).int}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultUids:
    """UIDs of everything one run of one job writes.

    A new model, rule, node version or input changes a digest and with it every UID, so no archive ever
    holds an old object under a reused UID (DESIGN section 6). What they are about keeps its tracking UID.

    Attributes
    ----------
    tracked
        Segment → the tracking UID that it came with, or had in an earlier study.
    lasting
        Segment → what it is, on which series and by which model, for segments that mean the same in every run, as an
        organ does; not for findings that are numbered as they are found.
    """

    study_instance_uid: str
    rule: str
    input_digest: str
    recipe_digest: str
    run: int
    variant: str = ""
    tracked: Mapping[int, str] = field(default_factory=dict)
    lasting: Mapping[int, str] = field(default_factory=dict)

    def _derive(self, *parts: str) -> str:
        return derived_uid(
            self.study_instance_uid, self.rule, self.input_digest, self.recipe_digest, str(self.run), *parts
        )

    def series(self, role: str) -> str:
        """Series Instance UID of the series that holds the results of `role` (`seg`, `sr`, …)."""
        return self._derive("series", role)

    def instance(self, role: str) -> str:
        """SOP Instance UID of one result object; `variant` tells apart those that say the same in another way."""
        return self._derive("instance", role, self.variant)

    def tracking(self, segment_number: int) -> str:
        """Tracking Unique Identifier of one segment, the same in SEG and SR and when the analysis is repeated.

        A lesion that was recognised from an earlier study keeps the one that it had there (`tracked`). What is numbered
        as it is found keeps its own only as long as images and recipe are the same: among more images the first finding
        may be another one.
        """
        if segment_number in self.tracked:
            return self.tracked[segment_number]
        same = (self.lasting[segment_number],) if segment_number in self.lasting else (
            self.input_digest, self.recipe_digest
        )  # fmt: skip
        return derived_uid(self.study_instance_uid, self.rule, *same, "tracking", str(segment_number))
