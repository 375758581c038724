"""The targets that read a data set: what the door makes of it, and what the reader of pixels does."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from random import Random

from pydicom.uid import ExplicitVRLittleEndian

from dicomnode.domain.errors import Refused, Unsuitable
from dicomnode.domain.network import Association
from dicomnode.domain.uid import is_uid
from dicomnode.infer.read.image import read_header
from dicomnode.infer.read.pixels import stored_values
from dicomnode.infer.read.series import _frames
from dicomnode.infer.read.stacks import stacks_of
from dicomnode.receive.header import read_arrival
from tests.fuzz import seeds
from tests.fuzz.mutate import chosen, mutated

#: Preamble and prefix of a Part 10 file; what follows is damaged, file meta information included.
_PREFIX_BYTES = 132
_ASSOCIATION = Association(association_id="f", calling_aet="F", called_aet="N", address="127.0.0.1", peer="")


class DataSets:
    """Files in `folder`, made of sound ones.

    Parameters
    ----------
    reader
        Whether to read pixels; otherwise the object is taken in as the listener does.
    """

    def __init__(self, folder: Path, *, reader: bool) -> None:
        self._folder, self._reader = folder, reader
        files = {**seeds.made(), **seeds.real()}
        self._seeds = list(files.values())
        self._syntaxes = sorted({_syntax(data) for data in self._seeds})

    def input(self, number: int, seed: int) -> bytes:
        """The file of that number."""
        random = Random(f"{seed} {number}")
        data = chosen(self._seeds, random)
        # Damage behind the group length of the file meta information gets deeper.
        start = min(_PREFIX_BYTES if random.random() < 0.1 else _body(data), len(data) - 1)
        return mutated(data, random, start=start)

    def run(self, number: int, seed: int) -> None:
        """Read one; anything but a refusal in words is for the caller to see."""
        random = Random(f"{seed} {number} how")
        content = self.input(number, seed)
        path = self._folder / "input.dcm"
        path.write_bytes(content)
        try:
            if self._reader:
                self._read(path)
            else:
                self._take(path, random.choice(self._syntaxes) if random.random() < 0.2 else _syntax(content))
        except (Refused, Unsuitable) as refusal:
            told = str(refusal)
            assert told and len(told) < 2000, told[:200]

    def close(self) -> None:
        """Nothing is open."""

    def _take(self, path: Path, syntax: str) -> None:
        arrival = read_arrival(
            path, _ASSOCIATION, sop_class_uid="1.2.840.10008.5.1.4.1.1.2", sop_instance_uid="1.2.3.4.1",
            transfer_syntax_uid=syntax, on_demand=False,
        )  # fmt: skip
        assert is_uid(arrival.study_instance_uid) and is_uid(arrival.series_instance_uid)
        assert is_uid(arrival.sop_instance_uid)
        # What cannot be written as JSON cannot be kept, nor what SQLite does not take as text.
        json.dumps(arrival.header.series, allow_nan=False).encode("utf-8")
        stacks_of([arrival.header])

    def _read(self, path: Path) -> None:
        for frame in islice(_frames(read_header(path)), 3):
            for _, values, _ in stored_values([frame]):
                assert values.shape == (frame.image.rows, frame.image.columns)


def _body(data: bytes) -> int:
    """Where the data set begins in a Part 10 file."""
    return 144 + int.from_bytes(data[140:144], "little") if data[132:136] == b"\x02\0\0\0" else _PREFIX_BYTES


def _syntax(data: bytes) -> str:
    at = data.find(b"\x02\x00\x10\x00UI", 0, 1000)
    if at < 0:
        return str(ExplicitVRLittleEndian)
    length = int.from_bytes(data[at + 6 : at + 8], "little")
    return data[at + 8 : at + 8 + length].rstrip(b"\0 ").decode("latin-1")
