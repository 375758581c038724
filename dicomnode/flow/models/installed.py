"""What is installed: every bundle with its inputs, labels, files, device, and what this site has made of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dicomnode.domain.errors import ConfigError, ModelError
from dicomnode.domain.model import ModelSpec
from dicomnode.flow.models.card import card, lacking
from dicomnode.infer.bundle.load import find_bundles, verify
from dicomnode.store.database import Database
from dicomnode.store.models import Models

if TYPE_CHECKING:
    from dicomnode.infer.network.session import Sessions

_DECLARED, _NONE_NEEDED = "as declared", "needs none"

#: So many labels are named.
_MOST_LABELS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One bundle, in words.

    Attributes
    ----------
    files
        Whether they are the declared ones.
    device, warm
        What it runs on, and how long it took to load; "" where nobody asked.
    accepted, lately
        By whom and when, and what became of its jobs; "" without a store.
    """

    name: str
    version: str
    status: str
    title: str
    inputs: str
    labels: str
    files: str
    card: str
    device: str = ""
    warm: str = ""
    accepted: str = ""
    lately: str = ""

    @property
    def intact(self) -> bool:
        """Whether it has the files that it declares."""
        return self.files in (_DECLARED, _NONE_NEEDED)


def installed(
    folder: Path, db: Database | None, sessions: Sessions | None = None
) -> tuple[list[Installed], dict[str, ConfigError]]:
    """Every bundle below a folder, and what is wrong with those that cannot be used.

    Parameters
    ----------
    sessions
        Loads the networks; None leaves them alone.
    """
    bundles, broken = find_bundles(folder)
    return [described(spec, db, sessions) for spec in bundles.values()], broken


def described(spec: ModelSpec, db: Database | None, sessions: Sessions | None = None, *, files: str = "") -> Installed:
    """One bundle; `files` is what to say of them, "" hashes them, which takes seconds for each GiB."""
    files = files or _files(spec)
    device, warm = _loaded(spec, sessions) if sessions and files == _DECLARED else ("", "")
    text = card(spec)
    lacks = len(list(lacking(spec, text))) if text else 0
    return Installed(
        name=spec.name,
        version=spec.version,
        status=str(spec.status),
        title=spec.title,
        inputs=", ".join(_input(spec)),
        labels=_labels(spec),
        files=files,
        card=(f"lacks {lacks} items" if lacks else "whole") if text else "none",
        device=device,
        warm=warm,
        accepted=_accepted(spec, db),
        lately=_lately(spec, db),
    )


def _files(spec: ModelSpec) -> str:
    try:
        verify(spec)
    except ModelError as error:
        return str(error).removeprefix(f"model {spec.name}: ")
    return _DECLARED if spec.weights else _NONE_NEEDED


def _loaded(spec: ModelSpec, sessions: Sessions) -> tuple[str, str]:
    started = time.perf_counter()
    try:
        session = sessions.get(spec)
    except ModelError as error:
        return f"does not load: {error}", ""
    provider = session.get_providers()[0].removesuffix("ExecutionProvider") if session else "needs no network"
    return provider, f"{time.perf_counter() - started:.2f} s"


def _input(spec: ModelSpec) -> Iterator[str]:
    for fed in spec.inputs:
        modality = next((one.operand for one in fed.conditions if one.key == "Modality"), "")
        yield f"{fed.name} ({modality})" if isinstance(modality, str) and modality else fed.name


def _labels(spec: ModelSpec) -> str:
    names = [one.label for one in spec.segments] + [one.label for one in spec.classes]
    names += [one.name.meaning for one in spec.scores]
    more = f" and {len(names) - _MOST_LABELS} more" if len(names) > _MOST_LABELS else ""
    return ", ".join(names[:_MOST_LABELS]) + more or "as drawn"


def _accepted(spec: ModelSpec, db: Database | None) -> str:
    if db is None:
        return ""
    known, off = Models(db).accepted(spec.name), Models(db).disabled(spec.name)
    told = f"disabled: {off}; " if off else ""
    if known is None:
        return f"{told}not accepted"
    changed = "" if known.recipe == spec.recipe else ", void: the bundle was changed"
    ground = f"{known.cases} cases" if known.cases else "without figures"
    return f"{told}{known.accepted_by}, {known.accepted_at:%Y-%m-%d}, {ground}{changed}"


def _lately(spec: ModelSpec, db: Database | None) -> str:
    if db is None:
        return ""
    found = Models(db).lately(spec.name)
    if not found.states:
        return "no job yet"
    counts = ", ".join(f"{count} {state}" for state, count in sorted(found.states.items()))
    return f"{counts}; last {found.done_at[:16]}Z" if found.done_at else counts
