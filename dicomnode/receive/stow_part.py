"""One object of a STOW-RS request: from the bytes of its part to a file as the intake wants it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from pydicom import Dataset
from pydicom.filereader import read_dataset

from dicomnode.domain.decoding import DATA_SET_FAULTS
from dicomnode.domain.errors import CannotUnderstand, Refused
from dicomnode.domain.network import Association
from dicomnode.domain.study import Arrival
from dicomnode.domain.uid import is_uid
from dicomnode.receive.contexts import storage_classes, transfer_syntaxes
from dicomnode.receive.header import SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, read_arrival
from dicomnode.receive.refusal import Contradiction, NotUnderstood, SOPClassNotSupported
from dicomnode.receive.spool import Spooled, part_10_preface

#: Preamble, prefix, and the group length with its element's head (PS3.10 7.1).
_PREFIX_END = 132
_HEAD_BYTES = 144

#: Of the file meta information; private information in it is not kept.
_MOST_META_BYTES = 65536


class TransferSyntaxNotSupported(Refused):
    """It is in a transfer syntax that this node cannot read (PS3.18 Table I.2-2)."""

    status = 0xC122


class ObjectTooLong(Refused):
    """It is longer than this node takes; other than with a full disk there is no use in trying again."""

    status = 0xA700


class Part:
    """A Part 10 file that comes piece by piece.

    What is kept is the data set exactly as sent, behind file meta information of our own: the preamble and the private
    information of strangers are nothing that this node should hand on.

    Parameters
    ----------
    folder
        For the file, on the file system of the store.
    most_bytes
        Longest data set.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid
        As the file meta information names them; "" until then.
    size_bytes
        Of what has come.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder, self._most_bytes = folder, most_bytes
        self._head = bytearray()
        self._spooled: Spooled | None = None
        self._refusal: Refused | None = None
        self.sop_class_uid = self.sop_instance_uid = self._transfer_syntax_uid = ""
        self.size_bytes = 0

    def refuse(self, refusal: Refused) -> None:
        """Take no more of it: the rest is received and forgotten."""
        self._refusal = self._refusal or refusal

    def write(self, piece: bytes) -> None:
        """Append; what goes wrong is kept until `arrival`."""
        self.size_bytes += len(piece)
        if self._refusal is not None:
            return
        if self._spooled is not None:
            self._append(piece)
            return
        self._head += piece
        try:
            length = self._meta_bytes()
            if length and len(self._head) >= length:
                self._begin(length)
        except Refused as refusal:
            self.refuse(refusal)

    def arrival(self, association: Association, study_instance_uid: str) -> Arrival:
        """The complete object; its file is there until `discard`.

        Parameters
        ----------
        study_instance_uid
            Of which it has to be; "" for any.

        Raises
        ------
        Refused
            It is none, or one that this node does not take.
        OSError
            It could not be written.
        """
        if self._refusal is not None:
            raise self._refusal
        if self._spooled is None:
            raise CannotUnderstand(f"part: {self.size_bytes} bytes, too short for file meta information (PS3.10 7.1)")
        path, digest = self._spooled.finish()
        found = read_arrival(
            path,
            association,
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=self.sop_instance_uid,
            transfer_syntax_uid=self._transfer_syntax_uid,
            on_demand=False,
            data_set_start=self._spooled.data_set_start,
            digest=digest,
            most_inflated_bytes=self._most_bytes,
        )
        if study_instance_uid and found.study_instance_uid != study_instance_uid:
            message = f"StudyInstanceUID: data set has {found.study_instance_uid}, address has {study_instance_uid}"
            raise Contradiction(message, offending=STUDY_INSTANCE_UID)
        return found

    def discard(self) -> None:
        """Remove the file; what was accepted has another name by now."""
        if self._spooled is not None:
            self._spooled.discard()

    def _meta_bytes(self) -> int:
        """How long preamble and file meta information are together; 0 while that is not known."""
        if len(self._head) < _HEAD_BYTES:
            return 0
        if self._head[_PREFIX_END - 4 : _PREFIX_END + 8] != b"DICM\x02\x00\x00\x00UL\x04\x00":
            raise CannotUnderstand("part: no preamble and file meta information with its group length (PS3.10 7.1)")
        length = int.from_bytes(self._head[_HEAD_BYTES - 4 : _HEAD_BYTES], "little")
        if length > _MOST_META_BYTES:
            raise CannotUnderstand(
                f"part: file meta information of {length} bytes, at most {_MOST_META_BYTES} are read"
            )
        return _HEAD_BYTES + length

    def _append(self, piece: bytes) -> None:
        assert self._spooled is not None
        self._spooled.write(piece)
        if self._spooled.size_bytes > self._most_bytes:
            self.refuse(ObjectTooLong(f"object: longer than {self._most_bytes >> 20} MiB, the limit here"))

    def _begin(self, length: int) -> None:
        meta = _meta(bytes(self._head[_PREFIX_END:length]))
        named = {
            "MediaStorageSOPClassUID": SOP_CLASS_UID,
            "MediaStorageSOPInstanceUID": SOP_INSTANCE_UID,
            "TransferSyntaxUID": 0x00020010,
        }
        uids = {keyword: str(meta.get(keyword, "")) for keyword in named}
        for keyword, uid in uids.items():
            if not is_uid(uid):
                raise NotUnderstood(f"{keyword}: missing or no UID (PS3.5 9.1)", offending=named[keyword])
        self.sop_class_uid, self.sop_instance_uid, self._transfer_syntax_uid = uids.values()
        if self.sop_class_uid not in storage_classes():
            raise SOPClassNotSupported(f"SOP class {self.sop_class_uid} is none of those accepted for storage")
        if self._transfer_syntax_uid not in transfer_syntaxes():
            raise TransferSyntaxNotSupported(f"transfer syntax {self._transfer_syntax_uid} cannot be read here")
        self._spooled = Spooled(self._folder, part_10_preface(*uids.values()), self._most_bytes)
        self._append(bytes(self._head[length:]))
        self._head.clear()


def _meta(content: bytes) -> Dataset:
    try:
        # File meta information is explicit VR little endian, whatever follows it (PS3.10 7.1).
        meta = read_dataset(BytesIO(content), is_implicit_VR=False, is_little_endian=True)
        return Dataset({element.tag: element for element in meta})
    except DATA_SET_FAULTS as error:
        raise CannotUnderstand(f"part: file meta information cannot be read, {type(error).__name__}") from error
