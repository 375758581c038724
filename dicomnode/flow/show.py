"""Lays out for a terminal what came back and what is owed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from pydicom import Dataset
from pydicom.uid import UID
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dicomnode.flow.demo import Returned
from dicomnode.store.database import Database
from dicomnode.store.story import Backlog, Story


def show_returned(returned: Returned, out: Console) -> None:
    """What `demo` brought back: objects, numbers, stages, picture."""
    folder = returned.files[0].parent
    title = f"{returned.sent} objects sent; returned to {folder}:"
    objects = Table("file", "object", "series", "bytes", title=title, title_justify="left", box=None)
    for dataset, path in zip(returned.datasets, returned.files, strict=True):
        name = UID(dataset.SOPClassUID).name
        objects.add_row(path.name, name, str(dataset.SeriesDescription), f"{path.stat().st_size}")
    out.print(objects)
    title = "measurements in the report:"
    numbers = Table("finding", "measurement", "value", "unit", title=title, title_justify="left", box=None)
    for dataset in returned.datasets:
        for row in measurements(dataset):
            numbers.add_row(*(escape(text) for text in row))
    out.print(numbers)
    uid = str(returned.datasets[0].StudyInstanceUID)
    with closing(Database(returned.configuration.parent / "store" / "node.db")) as db:
        for line in Story(db).why(uid):
            if line.entity == "job" and line.arrow == "finished":
                out.print(f"stages: {line.detail}", highlight=False)
    out.print(f"first object sent → report back: {returned.seconds:.1f} s, of which 1 s is quiet time", highlight=False)
    if returned.picture:
        out.print(f"picture: {returned.picture}")
    out.print(f"the story: dicomnode why {uid[:24]} --config {returned.configuration}", highlight=False, soft_wrap=True)


def show_backlog(backlog: Backlog, out: Console) -> None:
    """The node at a glance: how much stands where, then a line for whatever wants an eye."""
    table = Table("what", "state", "how many", box=None, pad_edge=False)
    for what in ("studies", "jobs", "deliveries"):
        for state, count in getattr(backlog, what).items():
            table.add_row(what, state, str(count))
    out.print(table if table.rows else "no study has come yet")
    lines = [f"failed {one['what']}, study {one['study']}: {one['reason']}" for one in backlog.failed]
    lines += [f"held study {one['study']}: {one['reason']}" for one in backlog.held]
    lines += [f"model {one['model']} is disabled, {one['waiting']} jobs wait: {one['reason']}"
              for one in backlog.disabled]  # fmt: skip
    lines += [f"peer {one['peer']} is left alone until {one['next_try_at']}: {one['reason']}"
              for one in backlog.backing_off]  # fmt: skip
    for line in lines:
        # What peers have answered is shown as it is, whatever brackets it has.
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def measurements(report: Dataset) -> Iterator[tuple[str, str, str, str]]:
    """The numbers of a TID 1500 report: tracking identifier, what, value, unit."""
    for group in _items(report, "125007"):
        items = group.ContentSequence
        tracking = next((item.TextValue for item in items if _concept(item) == "112039"), "")
        for item in items:
            if item.ValueType == "NUM":
                name = item.ConceptNameCodeSequence[0].CodeMeaning
                derivation = [child for child in item.get("ContentSequence", ()) if _concept(child) == "121401"]
                if derivation:
                    name = f"{derivation[0].ConceptCodeSequence[0].CodeMeaning} {name}"
                value = item.MeasuredValueSequence[0]
                unit = value.MeasurementUnitsCodeSequence[0].CodeValue
                yield str(tracking), name, f"{float(value.NumericValue):.1f}", unit


def _items(node: Dataset, code: str) -> Iterator[Dataset]:
    for item in node.get("ContentSequence", ()):
        if _concept(item) == code:
            yield item
        yield from _items(item, code)


def _concept(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].CodeValue) if names else ""
