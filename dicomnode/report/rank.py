"""Which measurements a reader needs first, and which stand in the structured report alone."""

from __future__ import annotations

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Absent, Measurement

LONG_AXIS = ("SCT", "103339001")
SHORT_AXIS = ("SCT", "103340004")
VOLUME = ("SCT", "118565006")

_MEAN, _MAXIMUM = ("SCT", "373098007"), ("SCT", "56851009")

#: Sum of segmented voxel method: the volume of the whole segment, not of a part of it.
_WHOLE = ("DCM", "126030")

#: Standardised uptake values of all kinds begin so in DCM: 126401 to 126406.
_UPTAKE = "12640"

#: Volume of Mesh, which says within a few voxels what the volume by voxels says already; then numbers that tell
#: programs where a lesion lies: the bounding box and the centroid.
_MESH = ("IBSI", "RNU0")
_PLACE = frozenset(
    {
        ("SCT", "131197000"), ("SCT", "410668003"), ("SCT", "103355008"),
        ("99DICOMNODE", "CENTROID-X"), ("99DICOMNODE", "CENTROID-Y"), ("99DICOMNODE", "CENTROID-Z"),
    }
)  # fmt: skip


def key(code: Code | None) -> tuple[str, str]:
    """Scheme and value of a code, by which it is compared; empty strings for none."""
    return (code.scheme, code.value) if code else ("", "")


def rank(row: Measurement | Absent) -> int:
    """Place in a list for people: diameters, volume, leading intensity, all else, mesh, place; low comes first.

    OHIF 3 writes the first five values of a group on the image.
    """
    name, derivation = key(row.name), key(row.derivation)
    if name in (LONG_AXIS, SHORT_AXIS):
        return 0 if name == LONG_AXIS else 1
    if name == VOLUME and key(row.method) == _WHOLE:
        return 2
    if is_uptake(row.name) and derivation == _MAXIMUM:
        return 3
    if derivation == _MEAN:
        return 4
    if name == _MESH:
        return 6
    return 7 if tells_place(row) else 5


def is_uptake(name: Code) -> bool:
    """Whether it is a standardised uptake value."""
    return name.scheme == "DCM" and name.value.startswith(_UPTAKE)


def is_leading_intensity(row: Measurement) -> bool:
    """Whether it is the one intensity that a table has room for: the highest uptake, else the mean."""
    return rank(row) in (3, 4) and (not is_uptake(row.name) or rank(row) == 3)


def tells_place(row: Measurement | Absent) -> bool:
    """Whether it says where a lesion lies rather than what it is; pages for people leave it out."""
    return key(row.name) in _PLACE
