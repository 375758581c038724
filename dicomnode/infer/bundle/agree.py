"""What the tables of one model.toml have to agree on: numbers that exist, outputs that fit the task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dicomnode.infer.bundle import before, regions
from dicomnode.infer.bundle.post import ArgmaxTable, LesionsTable, MaskByTable, MergeTable, ThresholdTable
from dicomnode.infer.bundle.tables import CodeTable

if TYPE_CHECKING:
    from dicomnode.infer.bundle.schema import Bundle

#: The table of labels that each task needs.
LABELS = {"segment": "segment", "detect": "segment", "classify": "class_", "score": "score"}


def contradictions(bundle: Bundle) -> Iterator[str]:
    """What cannot hold at the same time, in words with what is needed."""
    yield from _numbers(bundle)
    yield from _task(bundle)
    yield from before.contradictions(bundle.prepare, bundle.input)
    yield from _post(bundle)
    yield from regions.contradictions(bundle)
    if bundle.model.status == "demo" and bundle.measure.criteria:
        yield "measure.criteria beside status demo, needed none: a demo model gives no response category"


def _numbers(bundle: Bundle) -> Iterator[str]:
    numbers = sorted(segment.number for segment in bundle.segment)
    if numbers != list(range(1, len(numbers) + 1)):
        yield (
            f"segments are numbered {numbers}, needed 1 to {len(numbers)} without gaps or repetition: "
            "a number is a channel of the output (PS3.3 C.8.20.2.4 asks the same of a binary SEG)"
        )
    made = {segment.number for segment in bundle.segment if segment.derived}
    if made and min(made) != len(bundle.segment) - len(made) + 1:
        yield f"derived segments are numbered {sorted(made)}, needed the highest numbers, behind the network's channels"
    for name, table in (("classes", bundle.class_), ("scores", bundle.score)):
        channels = sorted(row.number for row in table)
        if channels != list(range(len(channels))):
            most = len(channels) - 1
            yield f"{name} are numbered {channels}, needed 0 to {most}: a number is a channel of the output"
    if made and len(made) == len(bundle.segment):
        yield "every segment is derived, needed one at least that is a channel of the network's output"
    yield from _twice("classes", [row.code for row in bundle.class_])
    yield from _twice("scores", [row.name for row in bundle.score])


def _twice(name: str, codes: Sequence[CodeTable]) -> Iterator[str]:
    """Answers that no reader could tell apart."""
    for what, found in (
        ("code", [f"({code.value}, {code.scheme})" for code in codes]),
        ("meaning", [code.meaning for code in codes]),
    ):
        if twice := sorted(one for one in {*found} if found.count(one) > 1):
            yield f"{name} share the {what} {' and '.join(twice)}, needed one of its own for each"


def _task(bundle: Bundle) -> Iterator[str]:
    task = bundle.model.task
    if task in LABELS and not getattr(bundle, LABELS[task]):
        yield f"task {task} without [[{LABELS[task].strip('_')}]], needed one at least"
    if task == "classify" and bundle.output is not None and bundle.output.question is None:
        yield "task classify without output.question, needed the code of the concept that the classes answer"
    if task not in ("segment", "measure") and bundle.post:
        yield f"task {task} with [[post]], needed none: these steps treat masks"


def _post(bundle: Bundle) -> Iterator[str]:
    known = {segment.number for segment in bundle.segment}
    channels = [segment.number for segment in bundle.segment if not segment.derived]
    for place, step in enumerate(bundle.post):
        where = f"post[{place}] ({step.step})"
        named = {*step.segments}
        match step:
            case ArgmaxTable() | ThresholdTable() if place:
                yield f"{where} comes after other steps, needed as the first: it makes the labels that they treat"
            case ArgmaxTable() if step.segments:
                yield f"{where} names segments, needed none: all compete"
            case ThresholdTable():
                yield from _thresholds(step, where, channels)
            case MergeTable():
                named |= {step.into}
                if not step.segments:
                    yield f"{where} names no segments, needed those that are merged"
            case MaskByTable():
                named |= {step.by}
            case LesionsTable():
                named |= {*step.into}
                if not {*step.into}.isdisjoint(channels):
                    yield f"{where} allots {list(step.into)}, needed segments with derived = true"
        if named - known:
            yield f"{where} names segments {sorted(named - known)}, needed some that exist"


def _thresholds(step: ThresholdTable, where: str, channels: Sequence[int]) -> Iterator[str]:
    treated = step.segments or channels
    if len(step.threshold) != len(treated):
        yield f"{where} has {len(step.threshold)} thresholds, needed one for each of segments {list(treated)}"
    if not {*treated} <= {*channels}:
        yield f"{where} treats segments {list(treated)}, needed channels of the network {list(channels)}"
