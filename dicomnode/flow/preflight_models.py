"""Tests the models, and whether rules and models fit each other."""

from __future__ import annotations

from collections.abc import Iterator

from dicomnode.config import Settings
from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.infer.bundle.load import find_bundles, verify
from dicomnode.infer.network.session import Sessions
from dicomnode.route.inputs import unknown_inputs


def models(settings: Settings) -> Iterator[Check]:
    """Every rule's model is there and has the inputs that the rule names; every bundle's networks load."""
    bundles, broken = find_bundles(settings.models.folder)
    for rule in settings.rules:
        if rule.model not in bundles and rule.model not in broken:
            yield Check(
                subject=f"rule {rule.name}",
                verdict=Verdict.FAIL,
                found=f"model {rule.model} is not in {settings.models.folder}",
                remedy=f"known: {', '.join(bundles) or 'none'}; or set models.folder",
            )
        elif rule.model in bundles and (strange := unknown_inputs(rule, bundles[rule.model])):
            remedy = "[rule.inputs.<name>] takes the names of the tables [input.<name>] in the bundle's model.toml"
            yield Check(subject=f"rule {rule.name}", verdict=Verdict.FAIL, found=strange, remedy=remedy)
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
        provider = session.get_providers()[0].removesuffix("ExecutionProvider")
        yield Check(subject=subject, verdict=Verdict.OK, found=f"{spec.version}, {spec.status}, runs on {provider}")
