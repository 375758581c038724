"""Chooses which of the objects of a job a destination gets: the richest that it takes, and each once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dicomnode.domain.network import Acceptance
from dicomnode.domain.work import Form
from dicomnode.flow.suited import accepted

#: Kinds that show a contour on the images themselves, the one to prefer first.
MASKS = ("seg", "labelmap")
#: Kinds of which a destination gets one form, the first that it takes; the root refers to all the others.
_REPORTS, _ROOT = ("refusal", "radiomics", "sr"), "sr"
#: Kinds that are drawn into pixels, for viewers that show no mask.
PICTURES = ("picture", "refusal-picture")
#: What a refusal is, where a destination lists what it takes.
_LISTED_AS = {"refusal": "sr", "refusal-picture": "picture"}


def choose(forms: Sequence[Form], takes: Sequence[str], known: Acceptance | None) -> list[Form]:
    """The forms that a destination shall have, those first that others refer to.

    Parameters
    ----------
    forms
        All forms of one job, of those that say the same the richest first.
    takes
        Kinds that the destination lists. Empty for the richest mask and report that it accepts, with pictures only
        where it has no mask.
    known
        What it accepts; None if that is not known, and then everything is believed to be.

    Returns
    -------
    Never nothing while there is a report or picture that was not refused: a destination that accepts neither is
    offered one all the same, so that its refusal is seen.
    """
    chosen = companions([form for form in forms if form.kind != _ROOT], takes, known)
    chosen += _report(_ROOT, forms, chosen, takes, known)
    if not chosen:
        reports = [form for kind in reversed(_REPORTS) for form in forms if form.kind == kind and not form.refers_to]
        chosen += _first([*reports, *(form for form in forms if form.kind in PICTURES)], known, insist=True)
    return chosen


def companions(forms: Sequence[Form], takes: Sequence[str], known: Acceptance | None) -> list[Form]:
    """What a destination gets beside the report that refers to all of it; parameters as `choose`."""
    chosen = list(_masks(forms, takes, known))
    masked = bool(chosen)
    for form in forms:
        if form.kind in (*MASKS, *_REPORTS) or form.state == "failed":
            continue
        if takes:
            wanted = _LISTED_AS.get(form.kind, form.kind) in takes
        else:
            wanted = accepted(form, known) and not (form.kind in PICTURES and masked)
        if wanted or form.offered:
            chosen.append(form)
    for kind in _REPORTS:
        chosen += _report(kind, forms, chosen, takes, known)
    return chosen


def _report(
    kind: str, forms: Sequence[Form], chosen: Sequence[Form], takes: Sequence[str], known: Acceptance | None
) -> list[Form]:
    """The first report of a kind that refers to nothing but what is chosen."""
    stored = {form.role for form in chosen}
    # What refers to an object that was refused after all is there all the same.
    possible = [one for one in forms if one.kind == kind and (one.references <= stored or one.state == "done")]
    return _first(possible, known, insist=bool(takes)) if not takes or _LISTED_AS.get(kind, kind) in takes else []


def _masks(forms: Sequence[Form], takes: Sequence[str], known: Acceptance | None) -> Iterator[Form]:
    masks = [form for kind in MASKS for form in forms if form.kind == kind]
    if takes:
        wanted = (form for form in masks if form.kind in takes or form.offered)
        yield from (form for form in wanted if form.state != "failed")
    else:
        yield from _first(masks, known, insist=False)


def _first(forms: Sequence[Form], known: Acceptance | None, *, insist: bool) -> list[Form]:
    """The form that is stored, else that was perhaps offered, else the first that is accepted; if need be any."""
    left = [form for form in forms if form.state != "failed"]
    ranked = [
        *(form for form in left if form.state == "done"),
        *(form for form in left if form.offered),
        *(form for form in left if accepted(form, known)),
        *(left if insist else ()),
    ]
    return ranked[:1]
