"""Keeps the results of one analysis in a folder, in which nothing of an earlier one is left."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom import dcmread

from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.output import Output
from dicomnode.infer.read.faults import READ_FAULTS
from dicomnode.report.provenance import MANUFACTURER

#: Station Name of results that no node made.
STATION = "OFFLINE"

#: Names of results, by role.
_NAME = re.compile(r"(seg|labelmap|sr|radiomics|rtstruct|map-\d+|picture-\d+|pdf|refusal|refusal-picture)\.dcm")

_ASIDE = ".dicomnode-"


def earlier_results(folder: Path) -> list[Path]:
    """The results of an earlier analysis without a node in `folder`, which is made if it is not there.

    Raises
    ------
    DicomNodeError
        If the folder cannot be written to, or a file that is no such result has the name of one.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=_ASIDE):
            pass  # that it can be written to is known before anything is computed
        found = [path for path in sorted(folder.iterdir()) if _NAME.fullmatch(path.name)]
    strange = next((path for path in found if not _ours(path)), None)
    if strange is not None:
        raise DicomNodeError(f"{strange}: no result of `dicomnode process`, needed a folder without such a file")
    return found


def keep_results(folder: Path, outputs: Iterable[Output], earlier: Sequence[Path]) -> tuple[Path, ...]:
    """Write the results, then let them take the place of `earlier` ones; a failed write changes nothing.

    Raises
    ------
    DicomNodeError
        If the folder cannot be written to.
    """
    # Files in the same folder can be renamed without being copied.
    with _writing(folder), TemporaryDirectory(dir=folder, prefix=_ASIDE) as aside:
        made = []
        for output in outputs:
            if output.stands_in:
                continue  # for destinations that refuse another; a folder takes everything
            path = Path(aside) / f"{output.role}.dcm"
            path.write_bytes(output.data)
            made.append(path)
        for path in earlier:
            path.unlink(missing_ok=True)
        return tuple(path.replace(folder / path.name) for path in made)


def _ours(path: Path) -> bool:
    try:
        header = dcmread(path, specific_tags=["Manufacturer", "StationName"], stop_before_pixels=True)
    except READ_FAULTS:
        return False
    return (header.get("Manufacturer"), header.get("StationName")) == (MANUFACTURER, STATION)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DicomNodeError(f"{folder}: {error.strerror}, needed a folder to write the results to") from error
