"""Whether the numbers of two studies may be held against each other: how both were made, and what forbids it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: Slices of 1.25 and 2.5 mm gave diameters within 3.5 % of each other, slices of 1.25 and 5 mm differed by 7.6 % (Tan
#: et al., Cancer Imaging 2012;12:497), and thin and 5 mm slices "should not be used interchangeably" (Zhao et al.,
#: Transl Oncol 2014;7:88): what lies beyond a factor of two is forbidden, a lesser difference is said.
THICKNESS_RATIO = 2.0

#: By this, slice thicknesses count as the same: DICOM's decimal strings are rounded by their writers.
_SAME_MM = 0.05

#: Uptake times of two FDG PETs of one patient may differ by this (Boellaard et al., EANM guidelines 2.0, Eur J Nucl Med
#: Mol Imaging 2015;42:328; QIBA profile FDG-PET/CT 1.05): between 60 and 90 min SUV of tumours still rise.
UPTAKE_MINUTES = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """How the images of one study were made; None or "" for what nobody tells.

    Attributes
    ----------
    contrast
        Whether an intravenous contrast agent was given.
    phase
        The phase in words (`portal_venous`).
    uptake_minutes
        From injection to the start of the PET.
    reconstruction
        Method of reconstruction of a PET.
    """

    modality: str
    thickness_mm: float | None = None
    kernel: str = ""
    contrast: bool | None = None
    phase: str = ""
    uptake_minutes: float | None = None
    reconstruction: str = ""
    field_strength_t: float | None = None

    @property
    def words(self) -> Mapping[str, str]:
        """What is known, by name, for the report."""
        told = {
            "modality": self.modality,
            "slice thickness": _number(self.thickness_mm, "mm"),
            "kernel": self.kernel,
            "contrast agent": "" if self.contrast is None else "present" if self.contrast else "absent",
            "contrast phase": self.phase.replace("_", " "),
            "uptake time": _number(self.uptake_minutes, "min"),
            "reconstruction": self.reconstruction,
            "field strength": _number(self.field_strength_t, "T"),
        }
        return {name: text for name, text in told.items() if text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What two studies' circumstances mean for a comparison.

    Attributes
    ----------
    forbids
        Why the numbers are not comparable, each in words.
    limits
        What a reader of the comparison has to know.
    """

    forbids: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


def judge(before: Circumstances, now: Circumstances) -> Verdict:
    """Hold how two studies were made against each other.

    Forbidden is what moves numbers as far as the thresholds of response that rest on them: another modality, contrast
    agent or phase (RECIST 1.1, Appendix II: the same technique and phase throughout), slices more than twice as thick,
    and for PET, whose regions are thresholds of uptake, another uptake time or reconstruction. Another kernel moved
    neither diameter nor volume significantly (Zhao et al. 2014) and no scale orders the kernels of several vendors:
    that limits, as do a lesser difference of thickness, another field strength, and what one of both does not tell.
    """
    if before.modality != now.modality:
        return Verdict(forbids=(f"{before.modality} then, {now.modality} now",))
    return Verdict(forbids=tuple(_forbids(before, now)), limits=tuple(_limits(before, now)))


def _forbids(before: Circumstances, now: Circumstances) -> Iterator[str]:
    then, here = before.words, now.words
    for name in ("contrast agent", "contrast phase"):
        if name in then and name in here and then[name] != here[name]:
            yield f"{name} {then[name]} then, {here[name]} now"
    if before.thickness_mm and now.thickness_mm and _ratio(before.thickness_mm, now.thickness_mm) > THICKNESS_RATIO:
        yield (
            f"slice thickness {then['slice thickness']} then, {here['slice thickness']} now, "
            f"needed no more than {THICKNESS_RATIO:g} times the other"
        )
    if before.uptake_minutes is not None and now.uptake_minutes is not None:
        apart = abs(before.uptake_minutes - now.uptake_minutes)
        if apart > UPTAKE_MINUTES:
            yield (
                f"uptake time {then['uptake time']} then, {here['uptake time']} now, "
                f"needed within {UPTAKE_MINUTES:g} min of each other"
            )
    if before.reconstruction and now.reconstruction and before.reconstruction != now.reconstruction:
        yield f"reconstruction {before.reconstruction} then, {now.reconstruction} now"


def _limits(before: Circumstances, now: Circumstances) -> Iterator[str]:
    then, here = before.words, now.words
    if before.thickness_mm and now.thickness_mm:
        same = abs(before.thickness_mm - now.thickness_mm) <= _SAME_MM
        if not same and _ratio(before.thickness_mm, now.thickness_mm) <= THICKNESS_RATIO:
            yield f"slice thickness {then['slice thickness']} then, {here['slice thickness']} now"
    for name in ("kernel", "field strength"):
        if name in then and name in here and then[name] != here[name]:
            yield f"{name} {then[name]} then, {here[name]} now"
    expected = {"slice thickness"} | ({"uptake time", "reconstruction"} if now.modality == "PT" else set())
    for name in sorted((set(then) ^ set(here)) | (expected - set(then) - set(here))):
        stated = [when for when, told in (("then", then), ("now", here)) if name in told]
        yield f"{name} is stated {stated[0] + ' only' if stated else 'neither then nor now'}"


def _ratio(one: float, other: float) -> float:
    return max(one, other) / min(one, other)


def _number(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.4g} {unit}"
