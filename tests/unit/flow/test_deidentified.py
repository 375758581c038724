"""Files and deliveries leave without their patient."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from dicomnode.config import Settings, load, parse
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.network import Peer
from dicomnode.domain.privacy import Keep
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow.deidentified import deidentifying
from dicomnode.flow.preflight.deident import pseudonyms
from dicomnode.flow.verdict import Verdict

PEER = {"name": "STUDY", "aet": "STUDY", "host": "127.0.0.1", "port": 104}


def _file(path: Path, sop_class_uid: str = CTImageStorage) -> Path:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class_uid, "1.2.3.4.5"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality = "1.2.3", "1.2.3.4", "CT"
    ds.PatientName, ds.PatientID, ds.DeviceSerialNumber = "DONT^LOGME", "LOGME-1", "S1"
    ds.save_as(path, enforce_file_format=True)
    return path


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dicomnode", "deidentify", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, umask=0o022)


def test_the_verb_writes_objects_that_nothing_leads_back_from(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    _file(source / "DONT_LOGME.dcm")
    _file(source / "LOGME-screen.dcm", SecondaryCaptureImageStorage)
    (source / "LOGME.txt").write_text("no DICOM")
    done = _run(source, "--out", tmp_path / "out", "--secret", tmp_path / "secret", "--keep", "device, dates-modified")
    assert done.returncode == 1 and "1 objects written" in done.stdout
    assert "left out, 1: not de-identified: pixels of this kind" in done.stderr
    assert "LOGME" not in done.stdout + done.stderr
    (written,) = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert b"LOGME" not in written.read_bytes() and "LOGME" not in str(written)
    ds = dcmread(written)
    assert ds.DeviceSerialNumber == "S1" and ds.PatientIdentityRemoved == "YES"
    assert written.parts[-3:] == (ds.StudyInstanceUID, ds.SeriesInstanceUID, f"{ds.SOPInstanceUID}.dcm")
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "out").rglob("*") if path.is_dir()}
    assert modes == {0o700} and written.stat().st_mode & 0o777 == 0o600
    before = written.read_bytes()
    again = _run(
        source, "--out", tmp_path / "again", "--secret", tmp_path / "secret", "--keep", "device,dates-modified"
    )
    assert again.returncode == 1
    assert (tmp_path / "again").joinpath(*written.parts[-3:]).read_bytes() == before


def test_an_unknown_option_is_told_with_the_known_ones(tmp_path: Path) -> None:
    done = _run(_file(tmp_path / "a.dcm"), "--out", tmp_path / "out", "--keep", "names")
    assert done.returncode == 2 and "no option names" in done.stderr
    assert not (tmp_path / "out").exists()


def _settings(folder: Path, **peer: object) -> Settings:
    secret = folder / "secret"
    secret.write_bytes(b"x" * 32)
    secret.chmod(0o600)
    return parse({"store": {"folder": str(folder)}, "deidentify": {"secret_file": str(secret)}, "peer": [PEER | peer]})


def _delivery(path: Path) -> Delivery:
    ds = dcmread(path)
    return Delivery(
        delivery_id=1, job_id=1, study_instance_uid="1.2.3", destination="STUDY", sop_class_uid=str(ds.SOPClassUID),
        sop_instance_uid="1.2.3.4.5", transfer_syntax_uid=str(ExplicitVRLittleEndian), path=path, attempts=1, lease="x",
    )  # fmt: skip


class Wire:
    """Takes what is sent, and says that it was stored."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def send(self, peer: Peer, batch: Sequence[Delivery]) -> Generator[Receipt]:
        for one in batch:
            self.sent.append((one.sop_instance_uid, one.path.read_bytes()))
            yield Receipt(sop_instance_uid=one.sop_instance_uid, status=0, stored=True, final=False, text="Success")


def test_a_peer_that_may_not_know_the_patient_gets_every_object_without_him(tmp_path: Path) -> None:
    settings, wire = _settings(tmp_path, deidentify=["device"]), Wire()
    delivery = _delivery(_file(tmp_path / "result"))
    send = deidentifying(wire.send, settings)
    for _ in range(2):
        (receipt,) = send(settings.peers[0], [delivery])
        # The books know the object by the UID that it has here.
        assert receipt.stored and receipt.sop_instance_uid == "1.2.3.4.5"
    (uid, first), again = wire.sent
    assert b"LOGME" not in first and uid != "1.2.3.4.5" and again == (uid, first)
    assert b"LOGME" in delivery.path.read_bytes() and not list(tmp_path.glob(".deidentified-*"))


def test_what_may_show_a_name_is_not_sent_and_the_reason_is_told(tmp_path: Path) -> None:
    settings, wire = _settings(tmp_path, deidentify=[]), Wire()
    delivery = _delivery(_file(tmp_path / "result", SecondaryCaptureImageStorage))
    (receipt,) = deidentifying(wire.send, settings)(settings.peers[0], [delivery])
    assert wire.sent == [] and receipt.final and not receipt.stored and "not de-identified" in receipt.text


def test_other_peers_get_objects_as_they_are(tmp_path: Path) -> None:
    settings, wire = _settings(tmp_path), Wire()
    assert settings.peers[0].deidentify is None
    list(deidentifying(wire.send, settings)(settings.peers[0], [_delivery(_file(tmp_path / "result"))]))
    assert wire.sent[0][0] == "1.2.3.4.5" and b"LOGME" in wire.sent[0][1]


def test_without_a_secret_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    settings = parse({"peer": [PEER | {"deidentify": ["device"]}]})
    with pytest.raises(ConfigError, match=r"deidentify\.secret_file"):
        deidentifying(Wire().send, settings)
    (found,) = pseudonyms(settings)
    assert found.verdict is Verdict.FAIL and "STUDY" in found.subject
    (found,) = pseudonyms(_settings(tmp_path, deidentify=["device"]))
    assert found.verdict is Verdict.OK


def test_the_configuration_names_options_and_finds_the_secret_beside_itself(tmp_path: Path) -> None:
    assert _settings(tmp_path, deidentify=["device", "dates-modified"]).peers[0].deidentify == (Keep.DEVICE, Keep.DATES)
    with pytest.raises(ConfigError, match="deidentify"):
        _settings(tmp_path, deidentify=["name"])
    file = tmp_path / "dicomnode.toml"
    file.write_text('[deidentify]\nsecret_file = "key"\n')
    assert load(file).deidentify.secret_file == os.fspath(tmp_path / "key")
