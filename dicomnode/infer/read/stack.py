"""One regular stack of a series: its slices in order and the grid that they form, and its pixels when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from highdicom import Volume

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Plane, SourceSeries
from dicomnode.infer.read.assemble import assemble
from dicomnode.infer.read.faults import reading
from dicomnode.infer.read.frame import Frame
from dicomnode.infer.read.geometry import (
    IRREGULARITY_MM,
    Axes,
    Placement,
    axes_of,
    by_position,
    placement,
    single_placement,
)
from dicomnode.infer.read.pixels import same_pixels
from dicomnode.infer.read.stacks import Group
from dicomnode.infer.read.unit import intensities

#: Modalities whose single images are slices; the others' are projections more often.
_SINGLE = frozenset({"CT", "MR", "PT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One regular stack of a series, without its pixels.

    Attributes
    ----------
    label
        In words what tells it apart from the others of its series.
    frames
        In order along the normal, one per slice.
    placed
        The grid that they form.
    series
        Those of all stacks of the series.
    """

    subject: str
    label: str
    localizer: bool
    frames: tuple[Frame, ...] = field(repr=False)
    placed: Placement = field(repr=False)
    series: tuple[Frame, ...] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()

    def read(self, *, suv: str = "bw") -> SourceSeries:
        """Decode the pixels.

        Parameters
        ----------
        suv
            Kind of standardised uptake value that PET images become.

        Raises
        ------
        Unsuitable
            If pixels are cut short, cannot be decoded, or have several units.
        """
        with reading(self.subject, "needed readable attributes"):
            meaning = intensities(self.frames, suv, self.subject, self.series)
        volume = Volume(
            array=assemble(self.frames, self.placed, meaning),
            affine=self.placed.affine,
            coordinate_system="PATIENT",
            frame_of_reference_uid=self.frames[0].first("FrameOfReferenceUID"),
        )
        return SourceSeries(
            volume=volume,
            planes=tuple(_plane(frame) for frame in self.frames),
            unit=meaning.unit,
            tilt=self.placed.tilt,
            warnings=(*self.warnings, *meaning.warnings),
        )


def stack_of(
    frames: Sequence[Frame], group: Group, subject: str, remarks: tuple[str, ...] = (), *, alone: bool = False
) -> Stack:
    """The regular stack that frames form; of images that came twice one is kept.

    Parameters
    ----------
    remarks
        Warnings that concern all stacks of the series.
    alone
        Whether the series holds no other: then a single slice is a volume.

    Raises
    ------
    Unsuitable
        If they form none.
    """
    axes = axes_of([frame.orientation for frame in frames], subject)
    depths = np.array([frame.position_mm for frame in frames]) @ axes.normal
    positions = by_position(depths)
    crowds = [sorted((frames[index] for index in indices), key=_identity) for indices in positions]
    if len(crowds) < 2 and not (alone and frames[0].first("Modality") in _SINGLE):
        raise Unsuitable(f"{subject}: images at {len(crowds)} position, needed 2 or more")
    _require_identical(crowds, axes, subject)
    slices = tuple(crowd[0] for crowd in crowds)
    names = {_identity(frame) for frame in slices}
    if len(names) < len(slices):
        raise Unsuitable(f"{subject}: {len(slices)} slices share {len(names)} SOP Instance UIDs, needed one each")
    places = np.array([frame.position_mm for frame in slices])
    spacing_mm, shape = slices[0].pixel_spacing_mm, (slices[0].image.rows, slices[0].image.columns)
    if len(slices) > 1:
        placed = placement(places, axes, spacing_mm, shape, subject)
    else:
        placed = single_placement(places[0], axes, _extent_mm(slices[0], subject), spacing_mm, shape)
    return Stack(
        subject=subject,
        label=group.label,
        localizer=group.localizer,
        frames=slices,
        placed=placed,
        warnings=(*_warnings(slices, len(frames) - len(slices), placed), *remarks),
    )


def _extent_mm(frame: Frame, subject: str) -> float:
    """How far a single slice extends along its normal."""
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        stated = frame.first(keyword)
        if isinstance(stated, float | int) and np.isfinite(stated) and stated != 0:
            return abs(float(stated))
    raise Unsuitable(f"{subject}: one slice, needed Spacing Between Slices or Slice Thickness to know its volume")


def _require_identical(crowds: Sequence[Sequence[Frame]], axes: Axes, subject: str) -> None:
    for crowd in crowds:
        if len(crowd) > 1 and not same_pixels(crowd):
            depth = float(np.array(crowd[0].position_mm) @ axes.normal)
            crowded = sum(len(other) > 1 for other in crowds)
            raise Unsuitable(
                f"{subject}: several slices at one position ({len(crowd)} at {depth:.1f} mm along the normal, "
                f"{crowded} such positions of {len(crowds)}) that no attribute sorts into complete stacks, needed one"
            )


def _warnings(slices: Sequence[Frame], dropped: int, placed: Placement) -> tuple[str, ...]:
    warnings = []
    spacing_mm = float(np.linalg.norm(placed.affine[:3, 0]))
    if dropped:
        warnings.append(f"{dropped} images came twice with identical pixels; one of each was used")
    if placed.tilt is not None:
        warnings.append(
            f"the gantry was tilted by {placed.tilt.degrees:.1f}°; "
            "the slices were shifted in plane onto an upright grid"
        )
    stated = slices[0].first("SpacingBetweenSlices")
    if isinstance(stated, float | int) and abs(abs(stated) - spacing_mm) > IRREGULARITY_MM and stated != 0:
        warnings.append(
            f"Spacing Between Slices is stated as {abs(float(stated)):.3g} mm, but the slices lie {spacing_mm:.3g} mm "
            "apart; their positions were used"
        )
    if any(frame.image.lossy for frame in slices):
        warnings.append("the images were compressed with loss at some time; intensities are approximate")
    return tuple(warnings)


def _plane(frame: Frame) -> Plane:
    x, y, z = frame.position_mm
    return Plane(dataset=frame.image.dataset, frame_number=frame.number, position_mm=(x, y, z))


def _identity(frame: Frame) -> tuple[str, int]:
    return frame.image.sop_instance_uid, frame.number or 0
