"""Debian's Orthanc as the PACS of a test."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.waiting import eventually, free_port

#: Sends whatever is stored to the node, as an archive with a blunt routing rule does.
FORWARD_EVERYTHING = """
function OnStoredInstance(instanceId, tags, metadata, origin)
    SendToModality(instanceId, 'NODE')
end
"""

#: Requests to this machine must not go through a proxy that the environment may name.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


#: Where Debian's package orthanc-dicomweb puts the plugin.
_DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


class Orthanc:
    """One Orthanc with an empty store, known to it the node as modality `NODE`.

    Parameters
    ----------
    lua
        Script that it runs.
    more
        Further settings, which go before those here.
    dicomweb
        Whether it also answers QIDO-RS and WADO-RS; the test is skipped where it cannot.
    """

    aet = "ORTHANC"

    def __init__(
        self,
        folder: Path,
        node_port: int,
        lua: str = "",
        *,
        more: Mapping[str, Any] | None = None,
        dicomweb: bool = False,
    ) -> None:
        if dicomweb and not _DICOMWEB.exists():
            pytest.skip("Orthanc cannot speak DICOMweb; Debian package orthanc-dicomweb")
        self.port, self._http = free_port(), free_port()
        folder.mkdir(parents=True)
        self._log = folder / "orthanc.log"
        self._configuration = folder / "orthanc.json"
        script = folder / "script.lua"
        script.write_text(lua)
        self._configuration.write_text(
            json.dumps(
                {
                    "Name": "test",
                    "StorageDirectory": str(folder / "storage"),
                    "IndexDirectory": str(folder / "storage"),
                    "LuaScripts": [str(script)],
                    "Plugins": [str(_DICOMWEB)] if dicomweb else [],
                    "HttpPort": self._http,
                    "RemoteAccessAllowed": False,
                    "AuthenticationEnabled": False,
                    "DicomAet": self.aet,
                    "DicomPort": self.port,
                    "DicomCheckCalledAet": False,
                    "DicomModalities": {"NODE": ["DICOMNODE", "127.0.0.1", node_port]},
                    # Without it results that refer to each other may be listed late.
                    "StableAge": 1,
                    **(more or {}),
                }
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dicomweb(self) -> str:
        """Address of its DICOMweb services."""
        return f"http://127.0.0.1:{self._http}/dicom-web"

    def start(self) -> Orthanc:
        """Run it until it answers."""
        program = shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        if program is None:
            pytest.skip("Orthanc is not installed; Debian package orthanc")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, str(self._configuration)], stdout=log, stderr=log, start_new_session=True
            )
        eventually(self._answers, what="Orthanc to answer")
        return self

    def stop(self) -> None:
        """Kill it; nothing it holds is wanted any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)
            self._process = None

    def get(self, path: str) -> Any:
        """An answer of the REST interface."""
        return json.loads(self._read(path))

    def post(self, path: str, content: bytes) -> Any:
        """The answer of the REST interface to what is handed to it."""
        with _OPENER.open(f"http://127.0.0.1:{self._http}{path}", data=content, timeout=60) as answer:
            return json.loads(answer.read())

    def delete(self, path: str) -> None:
        """Have the REST interface remove something."""
        request = urllib.request.Request(f"http://127.0.0.1:{self._http}{path}", method="DELETE")
        with _OPENER.open(request, timeout=60):
            pass

    def instances(self, study: str) -> dict[str, list[str]]:
        """Orthanc's names of the instances of a study by modality."""
        found: dict[str, list[str]] = {}
        for series in self.get("/series?expand"):
            parent = self.get(f"/studies/{series['ParentStudy']}")
            if parent["MainDicomTags"]["StudyInstanceUID"] == study:
                found.setdefault(series["MainDicomTags"]["Modality"], []).extend(series["Instances"])
        return found

    def fetch(self, instance: str, target: Path) -> Path:
        """Save one instance as a file."""
        target.write_bytes(self._read(f"/instances/{instance}/file"))
        return target

    def busy(self) -> bool:
        """Whether jobs (forwarding) are pending or running."""
        return any(job["State"] not in {"Success", "Failure"} for job in self.get("/jobs?expand"))

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text(errors="replace")
        try:
            return bool(self.get("/system"))
        except OSError:
            return False

    def _read(self, path: str) -> bytes:
        with _OPENER.open(f"http://127.0.0.1:{self._http}{path}", timeout=30) as answer:
            content: bytes = answer.read()
            return content
