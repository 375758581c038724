"""What the tables about measuring have to agree on: tasks without a network, contours, signatures and their regions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicomnode.infer.bundle.schema import Bundle

#: Words of a score's name that promise more than a score.
PROMISES = ("risk", "probability", "likelihood")

#: Tables that say how a network sees images and how its answer is read.
_OF_IMAGES = ("prepare", "tile", "output", "post")


def contradictions(bundle: Bundle) -> Iterator[str]:
    """What cannot hold at the same time, in words with what is needed."""
    task, signature = bundle.model.task, bundle.signature
    if task == "measure":
        yield from _without_network(bundle)
    if signature is not None and task != "score":
        yield f"task {task} with [signature], needed task score"
    elif signature is not None:
        yield from _signature(bundle)
    elif task != "measure":
        for name in ("tile", "output"):
            if getattr(bundle, name) is None:
                yield f"[{name}] is missing, needed for task {task}"
        yield from _cascade(bundle)
    yield from _contours(bundle)
    known = {segment.number for segment in bundle.segment}
    if bundle.cascade is None and not {*bundle.measure.lungs} <= known:
        yield f"measure.lungs names segments {[*bundle.measure.lungs]}, needed some of {sorted(known)}"


def _cascade(bundle: Bundle) -> Iterator[str]:
    """A coarse model says where to look, or its labels are channels."""
    cascade, steps = bundle.cascade, [table.step for table in bundle.prepare]
    channels = cascade.channels if cascade is not None else ()
    if cascade is not None and not channels and cascade.margin_mm is None:
        yield "[cascade] without margin_mm, needed what is added round the segments of the coarse model"
    if cascade is not None and channels and (cascade.margin_mm is not None or cascade.segments):
        yield "cascade.channels with margin_mm or segments, needed channels alone: the fine model then looks everywhere"
    if channels and bundle.tile is not None and bundle.tile.neighbours:
        yield "cascade.channels with tile.neighbours, needed one of both: labels come slice by slice"
    if "labelled" in steps and not channels:
        yield "step labelled without cascade.channels, needed labels of a coarse model"


def _without_network(bundle: Bundle) -> Iterator[str]:
    """A model of task `measure` has nothing that a network would need."""
    if bundle.model.features:
        yield "task measure with features, needed none: no network takes them"
    stated = bundle.model_fields_set & {*_OF_IMAGES, "network", "cascade", "signature", "class_", "score"}
    if stated:
        yield f"task measure with {', '.join(sorted(name.strip('_') for name in stated))}, needed none: no network runs"
    if bundle.contours is None:
        yield "task measure without [contours], needed the input that holds what is measured"


def _contours(bundle: Bundle) -> Iterator[str]:
    if bundle.contours is None:
        return
    name, names = bundle.contours.input, [*bundle.input]
    if bundle.model.task != "measure" and bundle.signature is None:
        yield f"task {bundle.model.task} with [contours], needed task measure or a [signature]"
    if len(names) != 2 or names[-1] != name:
        yield f"[contours] takes input {name} of {', '.join(names)}, needed an image series, then the contours"


def _signature(bundle: Bundle) -> Iterator[str]:
    signature = bundle.signature
    if signature is None:
        return
    if stated := bundle.model_fields_set & {*_OF_IMAGES}:
        yield f"[signature] with {', '.join(sorted(stated))}, needed none: its network sees features, no images"
    if bundle.model.fold or bundle.model.features:
        yield "[signature] with fold or features in [model], needed one network and features as [[signature.feature]]"
    if (bundle.cascade is None) == (bundle.contours is None):
        yield "[signature] needs its regions from one of both: the model in [cascade], or [contours]"
    if bundle.cascade is not None and bundle.cascade.margin_mm is not None:
        yield "[signature] with cascade.margin_mm, needed none: the segments themselves are measured"
    if bundle.cascade is not None and bundle.cascade.channels:
        yield "[signature] with cascade.channels, needed none: its network sees features, no images"
    if len(bundle.score) != 1:
        yield f"[signature] with {len(bundle.score)} [[score]], needed one"
    for row in bundle.score:
        promised = [word for word in PROMISES if word in row.name.meaning.lower()]
        if promised:
            yield (
                f"the score of a signature is called {row.name.meaning}, needed a name that promises no {promised[0]}: "
                "that is the name of [signature.calibration]"
            )
    parts = [part.name for part in bundle.measure.part]
    for feature in signature.feature:
        part = (feature.mask or "").removeprefix("part:")
        if part != (feature.mask or "") and part not in parts:
            yield f"{feature.name} is measured in part {part}, needed one of measure.part: {', '.join(parts) or 'none'}"
        if feature.mask is not None:
            try:
                bundle.radiomics.require(feature.name)
            except ValueError as error:
                yield f"signature.feature {error}"
