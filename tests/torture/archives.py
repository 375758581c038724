"""The archives that results go to, and what each of them says that it has."""

from __future__ import annotations

import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

from pydicom import Dataset, dcmread

from tests.acceptance.orthanc import Orthanc
from tests.acceptance.peers import SR, CountingPacs
from tests.acceptance.waiting import free_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One object as an archive has it, and how often it came there."""

    study: str
    sop_class_uid: str
    dataset: Dataset
    times: int
    #: Whether it came each time with the same bytes.
    same: bool


class Archive(Protocol):
    """What an ordeal needs of an archive."""

    aet: str
    port: int

    def start(self) -> object:
        """Begin to listen, with everything it had."""

    def stop(self) -> None:
        """Be away."""

    def has_report(self, study: str) -> bool:
        """Whether a report on that study has come, as far as it can be asked just now."""

    def held(self) -> Mapping[str, Held]:
        """Everything it has, by SOP Instance UID."""


class Counting(CountingPacs):
    """An archive in this process that remembers every object as often as it comes."""

    def has_report(self, study: str) -> bool:
        """Whether a report on that study has come."""
        return any(offer.sop_class_uid == SR and offer.dataset.StudyInstanceUID == study for offer in self.offers)

    def held(self) -> Mapping[str, Held]:
        """Everything that came, by SOP Instance UID."""
        came = defaultdict(list)
        for offer in self.offers:
            came[offer.sop_instance_uid].append(offer)
        return {
            uid: Held(
                study=str(offers[0].dataset.StudyInstanceUID), sop_class_uid=offers[0].sop_class_uid,
                dataset=offers[0].dataset, times=len(offers), same=len({offer.data for offer in offers}) == 1,
            )
            for uid, offers in came.items()
        }  # fmt: skip


class Restarting(Orthanc):
    """An Orthanc that goes down and comes back; it keeps the first object under each UID, and counts what it keeps."""

    def stop(self) -> None:
        """End it as its init script does, so that only the node is tormented."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                super().stop()
            self._process = None

    def has_report(self, study: str) -> bool:
        """Whether a report on that study has come."""
        try:
            (found,) = self.post("/tools/find", _query(study)) or ({},)
        except (OSError, HTTPException):  # it is away, or was stopped in the midst of its answer
            return False
        return bool(found)

    def held(self) -> Mapping[str, Held]:
        """Everything it has, by SOP Instance UID, each as often as its journal says that it was new.

        Raises
        ------
        AssertionError
            Its statistics, its index and its journal do not agree.
        """
        names = self.get("/instances")
        assert self.get("/statistics")["CountInstances"] == len(names)
        new = self._new()
        assert set(new) == set(names)
        found = {}
        for name in names:
            dataset = dcmread(BytesIO(self._read(f"/instances/{name}/file")))
            uid = str(dataset.SOPInstanceUID)
            assert uid not in found, f"{uid} is in the archive under two names"
            found[uid] = Held(
                study=str(dataset.StudyInstanceUID), sop_class_uid=str(dataset.SOPClassUID), dataset=dataset,
                times=new[name], same=True,
            )  # fmt: skip
        return found

    def _new(self) -> Counter[str]:
        counted: Counter[str] = Counter()
        since = 0
        while True:
            page: dict[str, Any] = self.get(f"/changes?since={since}&limit=1000")
            counted.update(one["ID"] for one in page["Changes"] if one["ChangeType"] == "NewInstance")
            since = page["Last"]
            if page["Done"]:
                return counted


def _query(study: str) -> bytes:
    wanted = {"StudyInstanceUID": study, "Modality": "SR"}
    return json.dumps({"Level": "Series", "Limit": 1, "Query": wanted}).encode()


def make_archive(kind: str, folder: Path) -> Archive:
    """`orthanc`, or `counting`, which needs nothing installed."""
    return Restarting(folder / "orthanc", free_port()) if kind == "orthanc" else Counting()
