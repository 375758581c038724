"""What each rule would say to a file or a study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore

from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicomnode.config import Settings
from dicomnode.domain.errors import OutOfResources
from dicomnode.domain.rule import Condition, Match, Rule
from dicomnode.domain.study import Study
from dicomnode.flow.offline import matches, studies_in
from dicomnode.flow.shown.technique import is_technique
from dicomnode.infer.read.faults import READ_FAULTS
from dicomnode.route.match import words
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.studies import Studies

#: A file is judged whole in memory; a second one waits so long for the first.
_ONE = BoundedSemaphore(1)
_PATIENCE_SECONDS = 20.0

_DEFLATED = "1 file was left out, the file: found a deflated one, needed one that is not, or one that was sent here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One condition held against one series; what was found is left out unless it can only be about technique."""

    met: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One rule held against one series, as `input` of its model where that has several."""

    rule: str
    model: str
    study_instance_uid: str
    series_instance_uid: str
    series: str
    modality: str
    objects: int
    input: str
    matched: bool
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What the enabled rules say, and in words which files were left out."""

    tried: tuple[Tried, ...]
    left_out: tuple[str, ...] = ()


def try_file(settings: Settings, path: Path, *, sees_names: bool) -> Trial:
    """What the rules would say to the study of one file, if it came from nobody in particular.

    One that is deflated is left out: it may grow a thousandfold in memory.

    Raises
    ------
    OutOfResources
        Others have their files tried.
    """
    if _is_deflated(path):
        return Trial(tried=(), left_out=(_DEFLATED,))
    if not _ONE.acquire(timeout=_PATIENCE_SECONDS):
        raise OutOfResources("the rules are being tried on the files of others")
    try:
        studies, left_out = studies_in([path])
    finally:
        _ONE.release()
    # The name is that of a temporary file.
    told = tuple(text.replace(path.name, "the file") for text in left_out)
    return Trial(tried=tuple(one for study in studies for one in _tried(settings, study, sees_names)), left_out=told)


def try_study(settings: Settings, db: Database, files: Files, uid: str, *, sees_names: bool) -> Trial | None:
    """What the rules say now to a study in the store; None if it is unknown."""
    study = Studies(db, files).load(uid, removed=True)
    return None if study is None else Trial(tried=tuple(_tried(settings, study, sees_names)))


def _is_deflated(path: Path) -> bool:
    try:
        meta = read_file_meta_info(path)
    except READ_FAULTS:
        return False
    return bool(meta.get("TransferSyntaxUID", "") == DeflatedExplicitVRLittleEndian)


def _tried(settings: Settings, study: Study, sees_names: bool) -> Iterator[Tried]:
    for series, match in matches(settings, study):
        yield Tried(
            rule=match.rule.name,
            model=match.rule.model,
            study_instance_uid=study.study_instance_uid,
            series_instance_uid=series.series_instance_uid,
            series=series.title,
            modality=str(series.header.first("Modality", "")),
            objects=len(series.instances),
            input=match.input,
            matched=match.matched,
            clauses=tuple(_clauses(match, sees_names)),
        )


def _clauses(match: Match, sees_names: bool) -> Iterator[Clause]:
    for condition, reason in zip(_conditions(match.rule, match.input), match.reasons, strict=True):
        hidden = not sees_names and not is_technique(condition.path)
        yield Clause(met=reason.met, text=words(condition) if hidden else reason.text)


def _conditions(rule: Rule, fed: str) -> tuple[Condition, ...]:
    """In the order in which `route.match.match` holds them."""
    return (*rule.study, *rule.series, *rule.inputs.get(fed, ()))
