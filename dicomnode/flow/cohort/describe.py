"""Describes the images of a cohort before anything is computed: scanners, protocols, and what headers lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dicomnode.domain.header import Header
from dicomnode.domain.study import Series, Study
from dicomnode.flow.batch import BATCH_BY
from dicomnode.flow.cohort.case import Row
from dicomnode.flow.cohort.cases import Naming
from dicomnode.flow.stacks import in_stacks
from dicomnode.route.select import slice_spacing_mm

#: What radiomics of any image has to be reported with, and what of each modality (IBSI reference manual, chapter 5).
_NEEDED = (
    "PatientID",
    "Manufacturer",
    "ManufacturerModelName",
    "SliceThickness",
    "PixelSpacing",
    "FrameOfReferenceUID",
)
_NEEDED_OF = {
    "CT": ("KVP", "ConvolutionKernel", "ReconstructionDiameter"),
    "PT": (
        "ReconstructionMethod",
        "Units",
        "DecayCorrection",
        "PatientWeight",
        "RadiopharmaceuticalInformationSequence",
    ),
    "MR": ("MagneticFieldStrength", "ScanningSequence", "SequenceVariant", "RepetitionTime", "EchoTime"),
}

#: Images whose intensities are measured; what was planned on them, such as a dose, is none.
_IMAGES = frozenset({"CT", "MR", "PT", "NM"})

#: Lines of the printed description: title → what it counts.
_LINES = ("modality", "scanner", "protocol", "slice_thickness_mm", "missing")

#: More values than this hide the others in a line.
_MOST_VALUES = 8


def described(study: Study, naming: Naming, drawn: Collection[str]) -> Iterator[Row]:
    """A row for every stack of images of a study.

    Parameters
    ----------
    drawn
        Series Instance UIDs on which somebody has drawn.
    """
    for series in in_stacks(study).series:
        header = series.header
        modality = str(header.first("Modality", ""))
        if series.series_instance_uid not in drawn and (modality not in _IMAGES or "Rows" not in header):
            continue
        yield {
            "patient": naming.patient(header, study.study_instance_uid),
            "study_instance_uid": study.study_instance_uid,
            "series_instance_uid": series.series_instance_uid,
            "stack": series.stack,
            "modality": modality,
            "scanner": " ".join(filter(None, map(header.text, ("Manufacturer", "ManufacturerModelName")))),
            "protocol": " | ".join(header.text(name) or "?" for name in BATCH_BY.get(modality, ("",))[1:]),
            "images": len(series.instances),
            "slice_thickness_mm": _short(header.first("SliceThickness")),
            "slice_spacing_mm": _short(_spacing(series)),
            "pixel_spacing_mm": header.text("PixelSpacing"),
            "contours": "yes" if series.series_instance_uid in drawn else "no",
            "missing": " ".join(name for name in (*_NEEDED, *_NEEDED_OF.get(modality, ())) if not _has(header, name)),
        }


def show(rows: Sequence[Row], cases: int, to: Console) -> None:
    """Print how many there are of everything."""
    patients, studies = len({row["patient"] for row in rows}), len({row["study_instance_uid"] for row in rows})
    table = Table.grid(padding=(0, 2))
    table.add_row("cohort", f"{patients} patients, {studies} studies, {len(rows)} series, {cases} with contours")
    for name in _LINES:
        split: Callable[[str], list[str]] = str.split if name == "missing" else lambda text: [text]
        counts = Counter(value for row in rows for value in split(str(row[name])) if value)
        table.add_row(name.replace("_mm", " in mm").replace("_", " "), escape(_counted(counts)))
    to.print(table, highlight=False)


def _counted(counts: Counter[str]) -> str:
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    told = [f"{value} ({count})" for value, count in ranked[:_MOST_VALUES]]
    more = [f"{len(ranked) - _MOST_VALUES} more"] if len(ranked) > _MOST_VALUES else []
    return ", ".join([*told, *more]) or "none"


def _has(header: Header, keyword: str) -> bool:
    return keyword in header


def _spacing(series: Series) -> float | None:
    try:
        return slice_spacing_mm([instance.header for instance in series.instances])
    except (TypeError, ValueError):
        return None


def _short(value: object) -> str:
    try:
        return f"{float(str(value)):.4g}" if value is not None else ""
    except ValueError:
        return ""
