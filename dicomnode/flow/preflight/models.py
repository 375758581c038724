"""Tests the models, and whether rules and models fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from dicomnode.config import Settings
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.model import ModelSpec
from dicomnode.flow.evaluate.targets import measurable
from dicomnode.flow.models.card import CARD, MISSING, card, lacking
from dicomnode.flow.models.standing import accepted_otherwise, held_for, known_here, not_accepted
from dicomnode.flow.preflight.warm import warmed
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.infer.bundle.load import find_bundles, load_bundle, verify
from dicomnode.infer.network.session import Sessions
from dicomnode.route.inputs import unknown_inputs

_WRITE_CARD = "write in it what the model is for, how it was made, how well it does and where it fails"


def models(settings: Settings, *, quick: bool = True, remember: bool = True) -> Iterator[Check]:
    """Every rule's model is there and has the inputs that the rule names; every bundle's networks load.

    Parameters
    ----------
    quick
        Whether no network is run; otherwise those of the models that rules name run once, on nothing.
    remember
        Whether the store is asked what this site has accepted and disabled.
    """
    bundles, broken = find_bundles(settings.models.folder)
    for rule in settings.rules:
        if rule.model not in bundles and rule.model not in broken:
            yield Check(
                subject=f"rule {rule.name}",
                verdict=Verdict.FAIL,
                found=f"model {rule.model} is not in {settings.models.folder}",
                remedy=f"known: {', '.join(bundles) or 'none'}; or set models.folder",
            )
        if rule.shadow_model and rule.shadow_model not in bundles and rule.shadow_model not in broken:
            remedy = f"known: {', '.join(bundles) or 'none'}; or take shadow_model out of the rule"
            found = f"shadow_model {rule.shadow_model} is not in {settings.models.folder}"
            yield Check(subject=f"rule {rule.name}", verdict=Verdict.FAIL, found=found, remedy=remedy)
        if rule.model in bundles and (strange := unknown_inputs(rule, bundles[rule.model])):
            remedy = "[rule.inputs.<name>] takes the names of the tables [input.<name>] in the bundle's model.toml"
            yield Check(subject=f"rule {rule.name}", verdict=Verdict.FAIL, found=strange, remedy=remedy)
    if remember:
        yield from _accepted(settings, bundles)
    for name, error in broken.items():
        yield Check(subject=f"model {name}", verdict=Verdict.FAIL, found=str(error), remedy="mend its model.toml")
    sessions = Sessions(threads=settings.work.threads, device=settings.work.device)
    if sessions.lacking:
        remedy = "until that is mended, models run on the processor"
        yield Check(subject="work.device", verdict=Verdict.WARN, found=sessions.lacking, remedy=remedy)
    for name, spec in bundles.items():
        subject = f"model {name}"
        try:
            verify(spec)
            session = sessions.get(spec)
        except DicomNodeError as error:
            remedy = "put the right files back; until then the model refuses"
            yield Check(subject=subject, verdict=Verdict.FAIL, found=str(error), remedy=remedy)
            continue
        provider = session.get_providers()[0].removesuffix("ExecutionProvider") if session else ""
        runs = f"runs on {provider}" if provider else "needs no network"
        if not quick and provider and name in {rule.model for rule in settings.rules if rule.enabled}:
            try:
                runs = f"{runs}, {warmed(spec, sessions)}"
            except DicomNodeError as error:
                remedy = "`dicomnode models verify` compares its files; a smaller tile needs less memory"
                yield Check(subject=subject, verdict=Verdict.FAIL, found=str(error), remedy=remedy)
                continue
        yield Check(subject=subject, verdict=Verdict.OK, found=f"{spec.version}, {spec.status}, {runs}")
        if not card(spec):
            yield Check(subject=subject, verdict=Verdict.WARN, found=f"no {CARD}", remedy=_WRITE_CARD)


def _accepted(settings: Settings, bundles: Mapping[str, ModelSpec]) -> Iterator[Check]:
    """Whether the models of clinical rules were accepted here, as they are now; and which hold their jobs."""
    with known_here(settings) as db:
        for rule in settings.rules:
            spec = bundles.get(rule.model)
            cases = " --cases DIR" if spec and measurable(spec) else ""
            way = f"`dicomnode models accept {rule.model}{cases} --by WHO`"
            if refused := not_accepted(db, rule, spec):
                remedy = f"{way}; until then its jobs are refused"
                yield Check(subject=f"rule {rule.name}", verdict=Verdict.FAIL, found=refused, remedy=remedy)
            elif doubtful := accepted_otherwise(db, rule, spec):
                remedy = f"{way} again, to see whether it still does as well"
                yield Check(subject=f"rule {rule.name}", verdict=Verdict.WARN, found=doubtful, remedy=remedy)
        for name in bundles:
            for held in held_for(db, name):
                remedy = f"`dicomnode models enable {name}`"
                yield Check(subject=f"model {name}", verdict=Verdict.WARN, found=held, remedy=remedy)


def verified(folder: Path, name: str = "") -> Iterator[Check]:
    """Hashes, networks and card of the bundle `name` below `folder`, or of every bundle there.

    Raises
    ------
    ConfigError
        If model.toml of the bundle `name` has faults.
    """
    bundles, broken = ({name: load_bundle(folder / name)}, {}) if name else find_bundles(folder)
    for one, error in broken.items():
        for fault in error.faults:
            yield Check(subject=one, verdict=Verdict.FAIL, found=str(fault))
    sessions = Sessions(device="cpu")
    for one, spec in bundles.items():
        subject = f"{one} {spec.version}"
        try:
            verify(spec)
            sessions.get(spec)
        except DicomNodeError as error:
            yield Check(subject=subject, verdict=Verdict.FAIL, found=str(error))
            continue
        text = card(spec)
        if not text:
            yield Check(subject=subject, verdict=Verdict.FAIL, found=f"no {CARD}", remedy=_WRITE_CARD)
        elif lacks := list(lacking(spec, text)):
            remedy = f"write it under a heading of level 2; a section with {MISSING}: counts for nothing"
            yield Check(subject=subject, verdict=Verdict.FAIL, found=f"{CARD} lacks {'; '.join(lacks)}", remedy=remedy)
        else:
            yield Check(subject=subject, verdict=Verdict.OK, found="hash and network are as declared, card whole")
