"""From stored values to intensities: slope and intercept, or a modality look-up table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.told import told

INT16 = np.iinfo(np.int16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescale:
    """How the stored values of one frame become intensities.

    Attributes
    ----------
    slope, intercept
        Of the linear rescaling (PS3.3 C.11.1.1.2), after the table if there is one.
    table
        Output of a Modality LUT (PS3.3 C.11.1.1.1) for stored values from `first` on; values beyond its ends take the
        entries there.
    """

    slope: float = 1.0
    intercept: float = 0.0
    table: npt.NDArray[np.uint16] | None = field(default=None, repr=False, compare=False)
    first: int = 0

    @classmethod
    def of(cls, dataset: Dataset, subject: str) -> Rescale:
        """What a header, or the functional group of a frame, states; nothing means the values as stored.

        Raises
        ------
        Unsuitable
            If the numbers cannot be used.
        """
        if dataset.get("ModalityLUTSequence"):
            return _table(dataset["ModalityLUTSequence"].value[0], subject)
        slope, intercept = told(dataset, "RescaleSlope", 1), told(dataset, "RescaleIntercept", 0)
        return cls(slope=float(slope or 0), intercept=float(intercept or 0)).checked(subject)

    def checked(self, subject: str) -> Rescale:
        """Itself, if slope and intercept can be used.

        Raises
        ------
        Unsuitable
            If they cannot.
        """
        if not (np.isfinite([self.slope, self.intercept]).all() and self.slope != 0):
            raise Unsuitable(
                f"{subject}: rescale slope {self.slope} and intercept {self.intercept}, needed finite, slope not 0"
            )
        return self

    def times(self, factor: float) -> Rescale:
        """The same intensities multiplied."""
        return replace(self, slope=self.slope * factor, intercept=self.intercept * factor)

    @property
    def integral(self) -> bool:
        """Whether integers stay integers."""
        return all(value.is_integer() and INT16.min <= value <= INT16.max for value in (self.slope, self.intercept))

    def same(self, other: Rescale) -> bool:
        """Whether both make the same of the same stored values."""
        if self != other or (self.table is None) != (other.table is None):
            return False
        return self.table is None or other.table is None or np.array_equal(self.table, other.table)

    def looked_up(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Stored values after the table."""
        if self.table is None:
            return values
        return self.table[np.clip(values.astype(np.int64) - self.first, 0, len(self.table) - 1)]


def _table(item: Dataset, subject: str) -> Rescale:
    entries, first, bits = (int(value) for value in item["LUTDescriptor"].value)
    # Zero stands for 65536, and whichever VR was used to write it, the count is unsigned (PS3.3 C.11.1.1).
    entries = entries % 65536 or 65536
    data = item["LUTData"].value
    if isinstance(data, bytes):
        # Eight-bit entries may lie two in a word (PS3.3 C.11.1.1).
        table = np.frombuffer(data, dtype="u1" if len(data) < 2 * entries else "<u2")
    else:
        table = np.atleast_1d(np.asarray(data, dtype=np.int64) & 0xFFFF)
        if len(table) * 2 in {entries, entries + 1}:
            table = table.astype("<u2").view("u1")
    if not 8 <= bits <= 16 or len(table) < entries:
        raise Unsuitable(
            f"{subject}: a modality look-up table of {len(table)} entries of {bits} bits, needed {entries} of 8 to 16"
        )
    return Rescale(table=table[:entries].astype(np.uint16), first=first)
