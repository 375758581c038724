"""What a card has to say of a model: items of CLAIM, and for scores of TRIPOD."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dicomnode.domain.model import ModelSpec, Task

#: Its name in a bundle.
CARD = "CARD.md"

#: Marks in a card what its writer could not know; an item under which it stands is not told.
MISSING = "MISSING"

#: Words below which a section says nothing.
_LEAST_WORDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that a card has to tell.

    Attributes
    ----------
    source
        Guideline and items.
    heading
        Pattern of the headings of level 2 under which it may stand.
    say
        Pattern that the section has to hold beside; "" for any words.
    """

    name: str
    source: str
    heading: str
    say: str = ""


#: A measured figure: decimals, a percentage, or so many of so many; any other digit may be a date or a version.
_FIGURE = r"\d[.,]\d|\d ?%|\d+ of \d+"

_USE = Item(name="intended use", source="CLAIM 3", heading="intended use")
_PERFORMANCE = Item(
    name="performance, with figures", source="CLAIM 28 to 37", heading="performance|evaluation", say=_FIGURE
)
_LIMITS = Item(name="limits", source="CLAIM 38", heading="limit")
_LICENCE = Item(name="licence", source="of every bundle", heading="licen[cs]e")

#: CLAIM (Mongan et al., Radiol Artif Intell 2020;2:e200029; updated 2024;6:e240300), what concerns a model by itself.
CLAIM = (
    _USE,
    Item(name="data: source and selection", source="CLAIM 5 to 13", heading="data"),
    Item(
        name="reference standard", source="CLAIM 14 to 18",
        heading=r"reference standard|ground truth|what (an?|the) .* is here|data",
        say="reference|contour|mask|label|draw|is here",
    ),
    Item(
        name="how data were divided", source="CLAIM 20, 21", heading="data|training|performance|evaluation",
        say="held.out|test|evaluat|validat|fold|partition",
    ),
    Item(name="model", source="CLAIM 22 to 24", heading="model"),
    Item(name="training", source="CLAIM 25 to 27", heading="training"),
    _PERFORMANCE,
    _LIMITS,
    _LICENCE,
)  # fmt: skip

#: What measures drawn contours has neither data nor training.
_MEASURES = (_USE, _PERFORMANCE, _LIMITS, _LICENCE)

#: TRIPOD (Collins et al., BMJ 2015;350:g7594; TRIPOD+AI 2024;385:e078378), what concerns a score by itself.
TRIPOD = (
    Item(name="outcome that is predicted, and when", source="TRIPOD 6a", heading="outcome|endpoint"),
    Item(name="predictors", source="TRIPOD 7a", heading="predictor|feature"),
    Item(name="participants and events", source="TRIPOD 8, 13, 14a", heading="data|participants|sample", say=r"\d"),
    Item(name="missing data", source="TRIPOD 9", heading="missing data|data", say="missing|complete"),
    Item(name="how it was fitted", source="TRIPOD 10, 15a", heading="model|training|development"),
    Item(
        name="discrimination and calibration", source="TRIPOD 10d, 16", heading="performance|evaluation",
        say=r"(?s)(auc|c.index|concordance|discriminat).*calibrat|calibrat.*(auc|c.index|concordance|discriminat)",
    ),
    Item(
        name="validation in other patients", source="TRIPOD 4, 12, 13c", heading="performance|validation|evaluation",
        say="valid|held.out|external",
    ),
)  # fmt: skip


def card(spec: ModelSpec) -> str:
    """The card of a bundle, which says what it is for and how well it does; empty if there is none."""
    try:
        return (spec.folder / CARD).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def lacking(spec: ModelSpec, text: str) -> Iterator[str]:
    """What a card does not tell, item by item, with the guideline that asks for it."""
    sections = _sections(text)
    for item in _asked(spec):
        if not any(_tells(item, heading, body) for heading, body in sections):
            yield f"{item.name} ({item.source})"


def _asked(spec: ModelSpec) -> tuple[Item, ...]:
    if spec.task is Task.MEASURE:
        return _MEASURES
    return (*CLAIM, *TRIPOD) if spec.task is Task.SCORE else CLAIM


def _sections(text: str) -> list[tuple[str, str]]:
    """Headings of level 2 with what stands below them."""
    parts = re.split(r"^## +(.+?)\s*$", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def _tells(item: Item, heading: str, body: str) -> bool:
    if not re.search(rf"\b(?:{item.heading})", heading, re.IGNORECASE) or f"{MISSING}:" in body:
        return False
    whole = f"{heading}\n{body}"
    return len(body.split()) >= _LEAST_WORDS and bool(re.search(item.say, whole, re.IGNORECASE))
