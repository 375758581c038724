from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read import guard
from dicomnode.infer.read.encoded import Encoded
from tests.unit.infer.read.conftest import blank

ROWS, COLUMNS = 24, 40


@pytest.fixture
def codecs(monkeypatch: pytest.MonkeyPatch) -> Iterator[guard._Codecs]:
    """None of whose processes runs yet."""
    codecs = guard._Codecs()
    monkeypatch.setattr(guard, "_CODECS", codecs)
    yield codecs
    codecs.end()


def pixels(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 4096, (ROWS, COLUMNS), dtype="<u2")


def encoded(number: int = 0) -> Encoded:
    ds: Dataset = blank("1.2.840.10008.5.1.4.1.1.2", "CT", pixels(number)[np.newaxis])
    del ds.NumberOfFrames
    ds.BitsStored, ds.HighBit = 12, 11
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    codestream = get_frame(ds.PixelData, 0, number_of_frames=1)
    return Encoded(
        syntax=JPEGLSLossless, rows=ROWS, columns=COLUMNS, bits_allocated=16, bits_stored=12, signed=False,
        codestream=codestream,
    )  # fmt: skip


def fatal() -> Encoded:
    """A start of frame (ISO 14495-1 C.2.2) that states 255 bits per sample, at which GDCM 3.2.6 aborts."""
    sound = encoded()
    damaged = bytearray(sound.codestream)
    assert damaged[2:4] == b"\xff\xf7" and damaged[6] == 12
    damaged[6] = 255
    return replace(sound, bits_stored=255, codestream=bytes(damaged))


def read(content: bytearray) -> np.ndarray:
    return np.frombuffer(content, "<u2").reshape(ROWS, COLUMNS)


def pid(codecs: guard._Codecs) -> int:
    (codec,) = codecs._idle
    return codec._process.pid


def test_one_process_decodes_frame_after_frame(codecs: guard._Codecs) -> None:
    assert np.array_equal(read(guard.decoded("frame 1", encoded(1))), pixels(1))
    first = pid(codecs)
    assert np.array_equal(read(guard.decoded("frame 2", encoded(2))), pixels(2))
    assert pid(codecs) == first


def test_a_frame_at_which_the_decoder_aborts_is_refused_in_words(codecs: guard._Codecs) -> None:
    assert codecs.decoded(fatal()) == (None, -signal.SIGABRT)
    with pytest.raises(Unsuitable, match=r"^frame 1: encoded pixels that are damaged, .*syntax JPEG-LS Lossless"):
        guard.decoded("frame 1", fatal())
    assert np.array_equal(read(guard.decoded("frame 2", encoded(2))), pixels(2))


def test_a_process_that_met_damage_does_not_decode_the_next_frame(codecs: guard._Codecs) -> None:
    guard.decoded("frame 1", encoded())
    cut = encoded()
    with pytest.raises(Unsuitable):
        guard.decoded("frame 2", replace(cut, codestream=cut.codestream[:100]))
    assert codecs._idle == []


def test_threads_get_the_frames_that_they_gave(codecs: guard._Codecs) -> None:
    frames = [encoded(number) for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        for number, content in enumerate(pool.map(lambda one: guard.decoded("frame", one), frames)):
            assert np.array_equal(read(content), pixels(number))
    assert 1 <= len(codecs._idle) <= guard._MOST


def test_a_process_that_was_killed_is_replaced_and_the_frame_tried_again(codecs: guard._Codecs) -> None:
    guard.decoded("frame 1", encoded())
    os.kill(pid(codecs), signal.SIGKILL)
    codecs._idle[0]._process.wait()
    assert np.array_equal(read(guard.decoded("frame 2", encoded(2))), pixels(2))


def test_a_process_that_is_killed_again_is_no_fault_of_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard._CODECS, "decoded", lambda _: (None, -signal.SIGKILL))
    with pytest.raises(OSError, match="killed twice"):
        guard.decoded("frame 1", encoded())


def test_a_frame_that_takes_too_much_processor_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard._CODECS, "decoded", lambda _: (None, -signal.SIGXCPU))
    with pytest.raises(Unsuitable, match=r"^frame 1: encoded pixels that take the decoder too long, needed"):
        guard.decoded("frame 1", encoded())


def test_a_process_that_does_not_run_is_no_fault_of_the_frame(
    codecs: guard._Codecs, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.decoded("frame 1", encoded())
    monkeypatch.setattr(guard, "_WALL_SECONDS", 0.1)
    monkeypatch.setattr(guard, "_END_SECONDS", 0.1)
    stopped = pid(codecs)
    os.kill(stopped, signal.SIGSTOP)
    with pytest.raises(TimeoutError, match="does not answer"):
        guard.decoded("frame 2", encoded())
    assert codecs._idle == []
    with pytest.raises(ProcessLookupError):
        os.kill(stopped, 0)


def test_a_process_that_does_not_start_is_no_fault_of_the_frame(
    codecs: guard._Codecs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "_MODULE", "dicomnode.no_such_module")
    with pytest.raises(OSError, match="does not start"):
        guard.decoded("frame 1", encoded())
    monkeypatch.undo()


def test_a_process_outlives_what_stops_the_node_but_not_its_owner(codecs: guard._Codecs) -> None:
    guard.decoded("frame 1", encoded())
    os.kill(pid(codecs), signal.SIGTERM)
    guard.decoded("frame 2", encoded())
    assert codecs._idle.pop().end() == 0


def test_a_forked_process_leaves_those_of_its_parent_alone(codecs: guard._Codecs) -> None:
    guard.decoded("frame 1", encoded())
    parents = codecs._idle[0]
    codecs.forked()
    assert codecs._idle == []
    assert np.array_equal(read(guard.decoded("frame 2", encoded(2))), pixels(2))
    assert codecs._idle[0] is not parents
    parents._process.wait()
