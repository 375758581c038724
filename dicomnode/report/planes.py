"""Three planes through a finding, and the finding enlarged where it is small."""

from __future__ import annotations

import numpy as np
from PIL import Image

from dicomnode.domain.finding import Findings
from dicomnode.report.canvas import WIDTH
from dicomnode.report.focus import Focus, around
from dicomnode.report.panel import Frame, draw_view
from dicomnode.report.place import Place
from dicomnode.report.view import across, along_slices
from dicomnode.report.window import Window, window_for

#: Pixels: the slice itself, and the room between pictures.
_SLICE = 600
_BETWEEN = 8

#: A finding with its surroundings that takes less than this part of the slice, either way, is shown enlarged, too.
_SMALL = 1 / 3
_SURROUNDINGS_MM = 10.0


def window_of(findings: Findings, focus: Focus) -> Window:
    """The window in which a finding is shown."""
    return window_for(findings.source, focus.segment, _near(findings, focus) if focus.segment else None)


def caption_of(findings: Findings, focus: Focus) -> str:
    """Plane of the slices, and which image of the series it is by the number that viewers show."""
    index = focus.centre[0]
    name = along_slices(findings.source.volume, index).plane
    plane, count = findings.source.planes[index], len(findings.source.planes)
    if plane.frame_number is not None:
        return f"{name}, frame {plane.frame_number} ({index + 1} of {count})"
    number = plane.dataset.get("InstanceNumber")
    told = f"image {number}" if number else "slice"
    return f"{name}, {told} ({index + 1} of {count})"


def draw_planes(
    picture: Image.Image, top: int, bottom: int, findings: Findings, focus: Focus, caption: str
) -> tuple[tuple[Place, ...], Frame]:
    """Draw the slice large to the left, the planes across it to the right.

    Returns
    -------
    Where the voxels went, and the frame of the slice.
    """
    volume = findings.source.volume
    window, near = window_of(findings, focus), _near(findings, focus)
    slice_frame = Frame(left=0, top=top, width=_SLICE, height=_SLICE)
    slice_view = along_slices(volume, focus.centre[0])
    places = [draw_view(picture, slice_frame, slice_view, findings, window, caption=caption, focus=focus)]
    small = focus.segment is not None and all(
        near[axis].stop - near[axis].start < _SMALL * volume.array.shape[axis] for axis in (1, 2)
    )
    count = 3 if small else 2
    left, height = _SLICE + _BETWEEN, (bottom - top) // count
    frames = [
        Frame(left=left, top=top + place * height, width=WIDTH - left, height=height - _BETWEEN)
        for place in range(count)
    ]
    for axis in (1, 2):
        view = across(volume, axis, focus.centre[axis])
        places.append(draw_view(picture, frames[axis - 1], view, findings, window, caption=view.plane, focus=focus))
    if small:
        crop = (near[1].start, near[2].start, near[1].stop, near[2].stop)
        enlarged = f"{slice_view.plane}, enlarged"
        places.append(
            draw_view(picture, frames[2], slice_view, findings, window, caption=enlarged, focus=focus, crop=crop)
        )
    return tuple(places), slice_frame


def _near(findings: Findings, focus: Focus) -> tuple[slice, slice, slice]:
    volume = findings.source.volume
    one, two, three = (int(np.ceil(_SURROUNDINGS_MM / spacing)) for spacing in volume.spacing)
    return around(focus, volume.array.shape, (one, two, three))
