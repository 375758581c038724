"""The pixels of one image: stored values, read straight from the file where they are native, and rescaled ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.pixels.utils import pixel_array

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.frame import INT16, Frame, reading


def stored_values(frame: Frame) -> npt.NDArray[Any]:
    """Stored pixel values before rescaling, (row, column), unused bits cleared (PS3.5 8.1.1).

    Raises
    ------
    Unsuitable
        If they are cut short or no decoder can read them.
    """
    subject = f"instance {frame.sop_instance_uid}"
    if frame.native is None:
        syntax = frame.dataset.file_meta.TransferSyntaxUID
        with reading(subject, f"needed pixels that can be decoded (transfer syntax {syntax.name})"):
            # Given a path, pydicom 3.0 forgets to inflate deflated data sets.
            decoded = pixel_array(dcmread(frame.path), raw=True)
        if decoded.shape != (frame.rows, frame.columns):
            raise Unsuitable(f"{subject}: pixels of shape {decoded.shape}, needed {(frame.rows, frame.columns)}")
        return decoded
    kind = "i" if frame.signed else "u"
    values = np.empty((frame.rows, frame.columns), dtype=f"<{kind}{frame.bits_allocated // 8}")
    start, length = frame.native
    with frame.path.open("rb", buffering=0) as file:
        file.seek(start)
        got = min(file.readinto(values.data.cast("B")), length)
    if got < values.nbytes:
        raise Unsuitable(f"{subject}: {got} bytes of pixel data, needed {values.nbytes}")
    above = frame.bits_allocated - 1 - frame.high_bit
    unused = frame.bits_allocated - frame.bits_stored
    if unused:
        # Shifting up and back drops what lies above the high bit and extends the sign of signed values.
        np.left_shift(values, above, out=values)
        np.right_shift(values, unused, out=values)
    return values


def rescale_into(frame: Frame, out: npt.NDArray[Any]) -> bool:
    """Write the rescaled pixels of `frame` into `out`, (row, column), int16 or float32.

    Returns
    -------
    bool
        False if a value does not fit into int16; `out` is then not to be used.
    """
    values = stored_values(frame)
    if out.dtype != np.int16:
        np.multiply(values, frame.slope, out=out, casting="unsafe")
        out += np.float32(frame.intercept)
        return True
    slope, intercept = int(frame.slope), int(frame.intercept)
    ends = [int(end) * slope + intercept for end in (values.min(), values.max())]
    if min(ends) < INT16.min or max(ends) > INT16.max:
        return False
    # Arithmetic modulo 2¹⁶ is exact here because the result is known to fit.
    np.multiply(values.astype(np.int16), np.int16(slope), out=out)
    out += np.int16(intercept)
    return True
