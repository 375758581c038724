"""Rules about contrast agent and its phase, as far as headers and descriptions tell."""

from __future__ import annotations

from collections.abc import Mapping

from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.quality.outcome import Outcome, Rule
from dicomnode.infer.quality.tags import codes, items, texts
from dicomnode.infer.quality.wording import agent_in, phases_in

#: Terms of Contrast/Bolus Agent Phase (PS3.3 C.7.6.16.2.12) that name a phase → how bundles name it.
PHASE_TERMS = {
    "PRE_CONTRAST": "native",
    "ARTERIAL": "arterial",
    "PORTAL_VENOUS": "portal_venous",
    "VENOUS": "venous",
    "DELAYED": "delayed",
}

#: What is written in Contrast/Bolus Agent where there was none.
NO_AGENT = frozenset({"none", "no", "n", "nil", "without", "w/o", "no contrast", "non contrast", "0"})

#: An agent that did not go into a vessel does not enhance one (PS3.3 C.7.6.4: the route is free text).
NOT_INTRAVENOUS = frozenset({"oral", "po", "per os", "rectal"})


def contrast(source: SourceSeries, limit: str) -> Outcome:
    """An intravenous agent was given (`present`), or was not (`absent`).

    What the headers say of the agent and what the descriptions say of agent and phase have to agree; where they do
    not, or say nothing, the answer is not known.
    """
    agent, phases = _agent(source), phases_of(source)
    described = {phase != "native" for phase in phases} | agent_in(_described(source))
    said = {one for one in (agent,) if one is not None} | described
    needed = f"contrast agent {limit}"
    if not said:
        return Outcome(found="not stated", needed=needed, passed=None)
    if len(described) > 1:
        return Outcome(found="both a native and an enhanced series described", needed=needed, passed=None)
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
    return phases_in(" . ".join(coded)) or phases_in(_described(source), _kind(source))


def _described(source: SourceSeries) -> str:
    return " . ".join(texts(source, "SeriesDescription"))


def _kind(source: SourceSeries) -> str:
    """The modality, or CT where an agent is stated: the words of phases mean phases then."""
    return "CT" if _agent(source) else "".join(texts(source, "Modality"))


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
