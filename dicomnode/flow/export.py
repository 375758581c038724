"""Files without their patient, for research and for reports of faults."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import config as pydicom_config
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from dicomnode.deident.dataset import Deidentified, deidentify
from dicomnode.deident.pseudonym import Pseudonyms
from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.privacy import Keep
from dicomnode.flow.offline import files_below
from dicomnode.infer.read.faults import READ_FAULTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What came of files to be de-identified: how many were written, were no DICOM, or were refused and why."""

    written: int
    ignored: int
    refused: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)


def export(
    paths: Iterable[Path],
    out: Path,
    names: Pseudonyms,
    keep: frozenset[Keep],
    tell: Callable[[str, int, int], None],
) -> Exported:
    """Write each DICOM file below `paths` without its patient to `out`/study/series/instance.dcm.

    Nothing of the old paths, which may hold names, is in the new ones.
    """
    files, written = list(files_below(paths)), 0
    ignored = 0
    refused, warnings = Counter[str](), Counter[str]()
    for number, path in enumerate(files, start=1):
        try:
            done = without_patient(path, names, keep)
        except InvalidDicomError:
            ignored += 1
        except Unsuitable as error:
            refused[str(error)] += 1
        else:
            ds = done.dataset
            folder = out / str(ds.StudyInstanceUID) / str(ds.get("SeriesInstanceUID") or "no-series")
            for one in (out, folder.parent, folder):
                one.mkdir(mode=0o700, parents=True, exist_ok=True)
            write(done, folder / f"{ds.SOPInstanceUID}.dcm")
            written += 1
            warnings.update(done.warnings)
        tell("de-identify", number, len(files))
    return Exported(written=written, ignored=ignored, refused=refused, warnings=warnings)


def without_patient(path: Path, names: Pseudonyms, keep: frozenset[Keep]) -> Deidentified:
    """What a file holds, without its patient.

    Raises
    ------
    Unsuitable
        If names may be left in it, or it is broken.
    InvalidDicomError
        If it is no DICOM file.
    """
    try:
        return deidentify(dcmread(path), names, keep)
    except InvalidDicomError:
        raise
    except READ_FAULTS as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise Unsuitable("not de-identified: cannot be read as DICOM") from error


def write(done: Deidentified, path: Path) -> None:
    """Write it for the eyes of this account alone, under its name only when it is whole."""
    part = path.with_suffix(".part")
    # Private from the first byte, whatever the umask is.
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        done.dataset.save_as(file, enforce_file_format=True)
    part.rename(path)


def tolerant() -> None:
    """Have pydicom take what others wrote as it is, and print no values in warnings."""
    pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE
