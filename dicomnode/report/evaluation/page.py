"""The page of an evaluation: figures, strata, box plots, worst cases with pictures, and what was not evaluated."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from dicomnode.report.evaluation.boxes import box_plots
from dicomnode.report.evaluation.picture import ANSWER_RGB, REFERENCE_RGB

Row = Mapping[str, Any]

#: Worst cases of each structure, by Dice.
_WORST = 6

#: Figures that are drawn as boxes.
_DRAWN = ("dice", "surface_dice", "hd95_mm")

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1b1b1b }
table { border-collapse: collapse; margin: .6rem 0 1.2rem } th, td { padding: .2rem .7rem; text-align: left }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums } tr { border-bottom: 1px solid #ddd }
th { border-bottom: 2px solid #999 } figure { display: inline-block; margin: .4rem; vertical-align: top }
figcaption { font-size: .8rem; max-width: 26rem } img { max-width: 100% } .note { color: #555 }
.warn { border-left: 4px solid #c60; padding-left: .7rem } code { font-size: .85em }
"""


def page(told: Row, names: Mapping[str, str], rows: Sequence[Row], pictures: Path, title: str) -> str:
    """One file of HTML without script and without reference to any other.

    Parameters
    ----------
    told
        What was evaluated, and under `figures` what came of it.
    names
        Column of a figure → what it is called.
    rows
        Of all cases.
    pictures
        Folder of the pictures that the rows name.
    """
    head = f"Evaluation of {told['model']} {told['version']}"
    body = "\n".join(_body(told, names, rows, pictures, title, head))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(head)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _body(
    told: Row, names: Mapping[str, str], rows: Sequence[Row], pictures: Path, title: str, head: str
) -> Iterator[str]:
    yield f"<h1>{escape(head)}</h1><p>{escape(title)}</p>"
    yield (
        f'<p class="note">Bundle <code>{escape(str(told["recipe"])[:16])}</code>, dicomnode {escape(told["node"])}. '
        f"{told['cases']} cases. Surface Dice at {told['tolerance_mm']:g} mm. In brackets: 95 % intervals by bootstrap "
        f"over patients, seed {told['seed']}. For research; not a medical device.</p>"
    )
    for one in told["figures"]:
        own = [row for row in rows if row.get("structure") == one["structure"] and row["row"] == "structure"]
        done = [row for row in own if row["status"] == "ok"]
        yield f"<h2>{escape(one['structure'])}</h2>"
        yield f"<p>{one['cases']} cases evaluated, {one['not_evaluated']} not; nothing was found in "
        yield f"{one['nothing_found']} that have it.</p>"
        yield _figures(one["figures"], names)
        yield from _detection(one.get("detection"))
        yield from _boxes(done, one, names)
        yield from _strata(one["strata"], names)
        yield from _worst(done, pictures)
    yield from _failed(rows)


def _figures(figures: Mapping[str, Row], names: Mapping[str, str]) -> str:
    lines = [
        (names[key], of["cases"], _held(of["mean"], of["mean_interval"]), _held(of["median"], of["median_interval"]),
         _span(of["quartiles"]), _span(of["range"]))
        for key, of in figures.items()
    ]  # fmt: skip
    return _table(("figure", "cases", "mean", "median", "quartiles", "range"), lines)


def _detection(found: Row | None) -> Iterator[str]:
    if found is None:
        return
    area = found["roc_auc"]
    told = f"{found['units']} {found['unit']}s, {found['units_with_a_lesion']} with a lesion"
    lines: list[Sequence[Any]] = [
        ("Sensitivity", _held(found["sensitivity"]["value"], found["sensitivity"]["interval"]),
         f"{found['found']} of {found['lesions']} lesions"),
        ("False positives per case", _held(found["false_positives_per_case"]["value"],
         found["false_positives_per_case"]["interval"]), f"{found['false_positives']} in all"),
        (f"ROC AUC by {found['unit']}", _held(area["value"], area["interval"]) or "not told: only one kind", told),
    ]  # fmt: skip
    yield "<h3>Detection</h3>" + _table(("figure", "value", "of"), lines)
    if found["by_size"]:
        sized = [(one["class"], one["lesions"], one["found"]) for one in found["by_size"]]
        yield _table(("diameter of the ball of its volume", "lesions", "found"), sized)


def _boxes(rows: Sequence[Row], one: Row, names: Mapping[str, str]) -> Iterator[str]:
    plots = {
        names[key]: {"all": values}
        for key in _DRAWN
        if (values := [row[key] for row in rows if row.get(key) is not None])
    }
    if plots:
        yield f"<figure>{_image(box_plots(plots), 'box plots of ' + one['structure'])}</figure>"
    for by in dict.fromkeys(of["by"] for of in one["strata"]):
        classes = {of["class"]: of.get("values", ()) for of in one["strata"] if of["by"] == by}
        if all(classes.values()):
            yield f"<figure>{_image(box_plots({f'Dice by {by}': classes}), f'Dice by {by}')}</figure>"


def _strata(classes: Sequence[Row], names: Mapping[str, str]) -> Iterator[str]:
    if not classes:
        return
    keys = list(dict.fromkeys(key for of in classes for key in of["figures"]))
    lines = [
        (of["by"], of["class"], of["cases"],
         *(_held(of["figures"][key]["mean"], of["figures"][key]["mean_interval"]) if key in of["figures"] else ""
           for key in keys))
        for of in classes
    ]  # fmt: skip
    yield "<h3>By class (means)</h3>" + _table(("by", "class", "cases", *(names[key] for key in keys)), lines)


def _worst(rows: Sequence[Row], pictures: Path) -> Iterator[str]:
    ranked = sorted((row for row in rows if row.get("dice") is not None), key=lambda row: float(row["dice"]))[:_WORST]
    if not ranked:
        return
    yield "<h3>Worst cases</h3>"
    yield (
        f'<p class="note"><span style="color:rgb{REFERENCE_RGB}">■</span> reference, '
        f'<span style="color:rgb{ANSWER_RGB}">■</span> answer, on the slice on which they differ most.</p>'
    )
    for row in ranked:
        path = pictures / str(row.get("picture") or "none")
        drawn = _image(path.read_bytes(), "reference and answer") if path.is_file() else "no picture"
        caption = f"Dice {row['dice']:.3f}, patient {row['patient']}, study {row['study_instance_uid']}"
        yield f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>"


def _failed(rows: Sequence[Row]) -> Iterator[str]:
    failed = [row for row in rows if row["status"] != "ok"]
    if failed:
        lines = [(row["study_instance_uid"], row.get("structure") or "all", row["reason"]) for row in failed]
        yield '<h2>Not evaluated</h2><p class="warn">These cases are in no figure above.</p>'
        yield _table(("study", "structure", "reason"), lines)


def _table(head: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    def cells(tag: str, line: Sequence[Any]) -> str:
        return "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in line)

    body = "".join(f"<tr>{cells('td', line)}</tr>" for line in lines)
    return f"<table><tr>{cells('th', head)}</tr>{body}</table>"


def _image(png: bytes, what: str) -> str:
    return f'<img alt="{escape(what)}" src="data:image/png;base64,{b64encode(png).decode()}">'


def _held(value: float | None, ends: Sequence[float] | None) -> str:
    if value is None:
        return ""
    return f"{_number(value)} ({_number(ends[0])} to {_number(ends[1])})" if ends else _number(value)


def _span(ends: Sequence[float]) -> str:
    return f"{_number(ends[0])} to {_number(ends[1])}"


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
