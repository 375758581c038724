"""Lays out for a terminal what came back and what is owed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from pydicom.uid import UID
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dicomnode.flow.demo import Returned
from dicomnode.flow.shown.measured import figures, measurements
from dicomnode.flow.shown.spans import Span
from dicomnode.store.database import Database
from dicomnode.store.story import Backlog, Line, Sent, Story


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
        for about, what, value, unit in measurements(dataset):
            numbers.add_row(*(escape(text) for text in (about, what, figures(value), unit)))
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


def show_story(study_instance_uid: str, lines: Sequence[Line], results: Sequence[Sent], out: Console) -> None:
    """What happened to a study, oldest first, and where its results stand."""
    out.print(f"study {study_instance_uid}")
    for line in lines:
        text = f"{line.at[:23]}Z  {line.entity} {line.entity_id} [bold]{line.arrow}[/]  {escape(line.detail)}"
        out.print(text, highlight=False, soft_wrap=True)
    for sent in results:
        where = f"{sent.destination}: {sent.state}  {sent.reason}" if sent.destination else "owed to nobody"
        out.print(f"result {sent.role} {sent.sop_instance_uid} → {escape(where)}", highlight=False, soft_wrap=True)


def show_times(study_instance_uid: str, found: Sequence[Span], out: Console) -> None:
    """Where the time of a study went, a line for each thing that took some."""
    out.print(f"study {study_instance_uid}: seconds since its last instance, seconds that it took, what")
    for span in found:
        text = f"{span.since_last_instance_seconds:12.2f} {span.seconds:12.2f}  {span.what}"
        text += f"  ({span.detail})" if span.detail else ""
        # What peers have answered is shown as it is, whatever brackets it has.
        out.print(text, markup=False, highlight=False, soft_wrap=True)


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
    lines += [f"flagged study {one['study']}, {one['at'][:10]}, by {one['by']}: {one['reason']}"
              for one in backlog.flagged]  # fmt: skip
    lines += [f"message to {one['notify']}, {one['state']}: {one['reason']}"
              for one in backlog.untold]  # fmt: skip
    for line in lines:
        # What peers have answered is shown as it is, whatever brackets it has.
        out.print(line, markup=False, highlight=False, soft_wrap=True)
