"""Rules about contrast agent and its phase, as far as headers and descriptions tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.quality.outcome import Outcome, Rule
from dicomnode.infer.quality.tags import codes, items, texts

#: Terms of Contrast/Bolus Agent Phase (PS3.3 C.7.6.16.2.12) that name a phase → how bundles name it.
PHASE_TERMS = {
    "PRE_CONTRAST": "native",
    "ARTERIAL": "arterial",
    "PORTAL_VENOUS": "portal_venous",
    "VENOUS": "venous",
    "DELAYED": "delayed",
}

#: Phase → how descriptions of series and protocols write it, in English, German and French. Whole words: an
#: unlisted word says nothing, because a phase that is guessed wrongly is worse than one that is not known.
PHASE_WORDS = {
    "native": r"native?|plain|unenhanced|noncontrast|precontrast|nect|ohne km|sans (injection|iv)"
    r"|(non|without|w o|wo|pre) (iv )?(contrast|gd|injection)",
    "arterial": r"art|arterial|arteriell\w*|arteriel\w*",
    "portal_venous": r"pvp|portal( venous)?|portovenous|portalvenous|portalven\w*|portalvenös\w*|portale?",
    "venous": r"venous|ven|venös\w*|venoes\w*|veineux",
    "delayed": r"delay|delayed|equilibrium|excretory|urographic|nephrographic|spät\w*|spaet\w*|tardif",
}

#: What descriptions say of an enhanced series whose phase they do not name.
ENHANCED_WORDS = r"(with|post|iv|mit) (iv )?(contrast|gd|km)|postcontrast|cect|contrast enhanced|gd|gad|mit km"

#: What is written in Contrast/Bolus Agent where there was none.
NO_AGENT = frozenset({"none", "no", "n", "nil", "without", "w/o", "no contrast", "non contrast", "0"})

#: An agent that did not go into a vessel does not enhance one (PS3.3 C.7.6.4: the route is free text).
NOT_INTRAVENOUS = frozenset({"oral", "po", "per os", "rectal"})


def contrast(source: SourceSeries, limit: str) -> Outcome:
    """An intravenous agent was given (`present`), or was not (`absent`).

    What the headers say of the agent and what the descriptions say of the phase have to agree; where they do not, or
    say nothing, the answer is not known.
    """
    agent, phases = _agent(source), phases_of(source)
    described = None if not phases else "native" not in phases
    if described is None and re.search(rf"\b({ENHANCED_WORDS})\b", _described(source)):
        described = True
    said = {one for one in (agent, described) if one is not None}
    needed = f"contrast agent {limit}"
    if not said:
        return Outcome(found="not stated", needed=needed, passed=None)
    if len(said) > 1:
        words = ("an agent stated", "a native phase") if agent else ("no agent", "an enhanced phase")
        return Outcome(found=f"{words[0]} but {words[1]} described", needed=needed, passed=None)
    found = "present" if said == {True} else "absent"
    return Outcome(found=f"contrast agent {found}", needed=needed, passed=found == limit)


def contrast_phases(source: SourceSeries, limit: tuple[str, ...]) -> Outcome:
    """The phase is one of those named; it is not known where headers and descriptions name none or several."""
    phases = phases_of(source)
    needed = f"{' or '.join(limit)} phase".replace("_", " ")
    if not phases:
        return Outcome(found="not stated", needed=needed, passed=None)
    found = f"{' and '.join(phases)} phase".replace("_", " ")
    return Outcome(found=found, needed=needed, passed=phases[0] in limit if len(phases) == 1 else None)


def phases_of(source: SourceSeries) -> tuple[str, ...]:
    """The phases that are stated: by the attribute for it, else by code, else in descriptions."""
    usage = items(source, "ContrastBolusUsageSequence")
    terms = [str(item.get("ContrastBolusAgentPhase") or "") for item in usage]
    stated = tuple(dict.fromkeys(PHASE_TERMS[term] for term in terms if term in PHASE_TERMS))
    if stated:
        return stated
    coded = [
        word
        for item in items(source, "AcquisitionContextSequence")
        if "109058" in codes(item.get("ConceptNameCodeSequence") or ())  # (109058, DCM, "Contrast Phase")
        for word in codes(item.get("ConceptCodeSequence") or ())
    ]
    return _phases_in(_plain(coded)) or _phases_in(_described(source))


def _phases_in(text: str) -> tuple[str, ...]:
    # The longer names go first and are taken out, so that "portal venous" does not count as venous too.
    found = []
    for phase, words in PHASE_WORDS.items():
        text, hits = re.subn(rf"\b({words})\b", " ", text)
        if hits:
            found.append(phase)
    return tuple(found)


def _described(source: SourceSeries) -> str:
    return _plain(texts(source, "SeriesDescription"))


def _plain(words: Iterable[str]) -> str:
    """Lower case, words parted by single blanks."""
    return re.sub(r"[\W_\d]+", " ", " . ".join(words).casefold())


def _agent(source: SourceSeries) -> bool | None:
    """Whether an intravenous agent was given, as the attributes for it say."""
    usage = items(source, "ContrastBolusUsageSequence")
    administered = {str(item.get("ContrastBolusAgentAdministered") or "") for item in usage} & {"YES", "NO"}
    if administered:
        return "YES" in administered
    agents = {agent.casefold() for agent in texts(source, "ContrastBolusAgent")}
    routes = {route.casefold() for route in texts(source, "ContrastBolusRoute")}
    coded = any(True for _ in items(source, "ContrastBolusAgentSequence"))
    if (agents | routes) & NOT_INTRAVENOUS:
        return None
    if agents and agents <= NO_AGENT:
        return False
    return True if agents or coded else None


RULES: Mapping[str, Rule] = {rule.__name__: rule for rule in (contrast, contrast_phases)}
