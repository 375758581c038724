"""What descriptions of series say of contrast agent and phase, in English, German and French."""

from __future__ import annotations

import re

#: How an intravenous agent is called; one that was drunk says nothing. `km` stands for Kontrastmittel.
_AGENT = r"((iv|i v) )?(contrast\w*|kontrast\w*|km|gd|gad|gado\w*|injection|inj|agent|enhance\w*|iv)"

#: Words in front of it that deny it, and those that affirm it.
_NO = r"(no|non|not|w o|wo|without|pre|before|ohne|vor|sans|avant)"
_YES = r"(with|w|post|after|mit|nach|avec|apres|après)"
_AND = r"( (and|und|et|or|n|u))?"

#: A study before and after an agent: of its series, this says nothing.
_BOTH = rf"({_NO}{_AND} {_YES}|{_YES}{_AND} {_NO})( {_AGENT})?"

#: One word, or a denial, that says that there was no agent. What is denied goes first and is taken out.
_ABSENT = (
    rf"{_NO} {_AGENT}|native?|plain(?! film)|unenhanced|nonenhanced|noncontrast\w*|precontrast\w*|noncon|non con|nect"
    r"|minuscontrast"
)
_PRESENT = rf"{_YES} {_AGENT}|postcontrast\w*|cect|contrast enhanced|ce mra|km|pluscontrast"

#: Phase → how it is written. Whole words: an unlisted word says nothing, because a phase that is guessed wrongly is
#: worse than one that is not known. `art` and `ven` are left out for that reason (arterial spin labelling, art).
_PHASES = {
    "arterial": r"arterial|arteriell\w*|arteriel\w*",
    "portal_venous": r"pvp|portal( venous)?|portovenous|portalvenous|portalven\w*|portalvenös\w*|portale?",
    "venous": r"venous|venös\w*|venoes\w*|veineux",
    "delayed": r"delayed|equilibrium|excretory|urographic|nephrographic|spät\w*|spaet\w*|tardif",
}

#: In MR, vessels are called by the words of phases without any agent (time of flight, phase contrast), and delayed
#: images are of everything, but not where a phase or an organ that is looked at in phases is named.
_PHASED = r"phase|dynami\w*|dyn|liver|leber|foie|hepat\w*|abdom\w*"
_UNPHASED = r"tof|mrv|asl|perfusion|phase contrast|pc mra"


def agent_in(text: str) -> set[bool]:
    """What a description says of an agent: {True}, {False}, nothing, or both where it tells of both."""
    words = _plain(text)
    words, both = re.subn(rf"\b{_BOTH}\b", " ", words)
    words, absent = re.subn(rf"\b({_ABSENT})\b", " ", words)
    present = re.search(rf"\b({_PRESENT})\b", words) is not None
    return {True, False} if both else {said for said, found in ((False, absent), (True, present)) if found}


def phases_in(text: str, modality: str = "CT") -> tuple[str, ...]:
    """The phases that a description names.

    Parameters
    ----------
    modality
        In CT every word of a phase counts; in MR only beside what is looked at in phases, elsewhere none does.
    """
    said, words = agent_in(text), _plain(text)
    if said == {True, False}:
        return ()
    phased = modality == "MR" and (
        True in said or (re.search(rf"\b({_PHASED})\b", words) and not re.search(rf"\b({_UNPHASED})\b", words))
    )
    found = ["native"] if False in said else []
    if modality != "CT" and not phased:
        return tuple(found)
    # The longer names go first and are taken out, so that "portal venous" does not count as venous too.
    for phase, names in _PHASES.items():
        words, hits = re.subn(rf"\b(?<!\bno )({names})\b", " ", words)
        if hits:
            found.append(phase)
    return tuple(found)


def _plain(text: str) -> str:
    """Lower case, words parted by single blanks; the signs in C+, +C and C- as words."""
    text = text.casefold()
    text = re.sub(r"(?<!\w)(?:(?:c|ce|km|gd|gad)\+(?!\w)|\+(?:c|ce|km|gd|gad)(?!\w))", " pluscontrast ", text)
    text = re.sub(r"(?<!\w)(?:c|ce|km|gd|gad)-(?!\w)", " minuscontrast ", text)
    return re.sub(r"[\W_\d]+", " ", text)
