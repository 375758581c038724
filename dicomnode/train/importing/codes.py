"""Codes of labels: a table of the user's own, or the one of anatomy that is shipped."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from dicomnode.domain.code import Code
from dicomnode.train.importing.faults import refuse

_SHIPPED = Path(__file__).with_name("anatomy.tsv")
_NEEDED = ("label", "scheme", "value", "meaning")
_KNOWN = (*_NEEDED, "laterality", "category", "region_value", "region_meaning")

SIDES: Mapping[str, Code] = MappingProxyType(
    {
        "left": Code(value="7771000", scheme="SCT", meaning="Left"),
        "right": Code(value="24028007", scheme="SCT", meaning="Right"),
    }
)

#: What a segment is at large (PS3.16 CID 7150), by the words of the table.
CATEGORIES: Mapping[str, Code] = MappingProxyType(
    {
        "structure": Code(value="91723000", scheme="SCT", meaning="Anatomical Structure"),
        "tissue": Code(value="85756007", scheme="SCT", meaning="Tissue"),
        "lesion": Code(value="49755003", scheme="SCT", meaning="Morphologically Abnormal Structure"),
        "abnormality": Code(value="49755003", scheme="SCT", meaning="Morphologically Abnormal Structure"),
        "lymph_node": Code(value="91723000", scheme="SCT", meaning="Anatomical Structure"),
        "substance": Code(value="91720002", scheme="SCT", meaning="Body Substance"),
        "object": Code(value="260787004", scheme="SCT", meaning="Physical object"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """What one label means.

    Attributes
    ----------
    category
        A key of `CATEGORIES`.
    """

    type: Code
    category: str = "structure"
    laterality: str = ""
    region: Code | None = None


def shipped() -> dict[str, Coded]:
    """The anatomy of TotalSegmentator's tasks, by label."""
    return read_codes(_SHIPPED)


def read_codes(path: Path) -> dict[str, Coded]:
    """A table of codes: tab-separated, first line the names of the columns, lines with # are remarks.

    Raises
    ------
    ConfigError
        If the file cannot be read, lacks a column, or a line cannot be understood.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        refuse("--codes", str(path), f"cannot be read ({error}); needed a table of text in UTF-8")
    rows = csv.DictReader((line for line in lines if line.strip() and not line.startswith("#")), delimiter="\t")
    columns = rows.fieldnames or []
    if missing := [name for name in _NEEDED if name not in columns]:
        refuse(
            "--codes", str(path), f"no column {' and '.join(missing)}; its first line names columns: {' '.join(_KNOWN)}"
        )
    found = {}
    for row in rows:
        filled = {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)}
        found[plain(filled["label"])] = _coded(filled, path)
    return found


def codes_of(labels: Sequence[str], own: Mapping[str, Coded]) -> list[Coded]:
    """The codes of all labels; the user's own go before those shipped.

    A label that ends in left or right and is not listed has the codes of its stem, and that side.

    Raises
    ------
    ConfigError
        Naming every label without a code.
    """
    known = {**shipped(), **own}
    found = [_looked_up(plain(label), known) for label in labels]
    missing = [label for label, one in zip(labels, found, strict=True) if one is None]
    if missing:
        example = "\\t".join((missing[0], "SCT", "4147007", "Mass"))
        refuse(
            "labels",
            missing,
            f"no code is known for {'it' if len(missing) == 1 else 'them'}, and nothing uncoded leaves the node; "
            f"write a table with the columns {', '.join(_NEEDED)} separated by tabs, one line for each such as "
            f"{example}, and name it with --codes",
        )
    return [one for one in found if one is not None]


def plain(label: str) -> str:
    """A label without what people write differently."""
    return "_".join(label.lower().replace("-", " ").replace("_", " ").split())


def _looked_up(label: str, known: Mapping[str, Coded]) -> Coded | None:
    if label in known:
        return known[label]
    stem, _, side = label.rpartition("_")
    if side in SIDES and stem in known and not known[stem].laterality:
        one = known[stem]
        return Coded(type=one.type, category=one.category, laterality=side, region=one.region)
    return None


def _coded(row: Mapping[str, str], path: Path) -> Coded:
    where = f"--codes {path.name}: {row['label'] or 'a line without label'}"
    category, side = row.get("category") or "structure", row.get("laterality", "")
    for name in _NEEDED:
        if not row[name]:
            refuse(where, "", f"{name} is empty, needed in every line")
    if category not in CATEGORIES:
        refuse(f"{where}: category", category, f"write one of {', '.join(CATEGORIES)}")
    if side and side not in SIDES:
        refuse(f"{where}: laterality", side, "write left, right, or nothing")
    region = None
    if row.get("region_value"):
        region = Code(value=row["region_value"], scheme="SCT", meaning=row.get("region_meaning") or row["region_value"])
    coded = Code(value=row["value"], scheme=row["scheme"], meaning=row["meaning"])
    return Coded(type=coded, category=category, laterality=side, region=region)
