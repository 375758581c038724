"""What may be kept of an object whose patient is taken out of it: the options of PS3.15 Annex E."""

from __future__ import annotations

from enum import StrEnum


class Keep(StrEnum):
    """An option beside the Basic Application Level Confidentiality Profile (PS3.15 E.3)."""

    DEVICE = "device"
    INSTITUTION = "institution"
    PATIENT = "patient-characteristics"
    DATES = "dates-modified"
    ACQUISITION = "acquisition"
