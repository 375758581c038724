"""Names of the numbers that a network takes beside the images: keywords of attributes that hold one."""

from __future__ import annotations

from difflib import get_close_matches

from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword

from dicomnode.domain.condition import NUMBER_VRS

#: Attributes that are no numbers in the data set, but are made some: years, and 1 for M and 0 for F.
MADE_NUMBERS = frozenset({"PatientAge", "PatientSex"})


def feature(name: str) -> str:
    """The name itself.

    Raises
    ------
    ValueError
        If it is no keyword (PS3.6 section 6) of an attribute that holds a number.
    """
    if name in MADE_NUMBERS:
        return name
    tag = tag_for_keyword(name)
    if tag is None:
        close = get_close_matches(name, keyword_dict, n=1, cutoff=0.8)
        raise ValueError(f"no DICOM keyword; did you mean {close[0]}?" if close else "no DICOM keyword; write one")
    kinds = dictionary_VR(tag)
    if not NUMBER_VRS & set(kinds.split(" or ")):
        raise ValueError(f"an attribute of VR {kinds}, needed one that holds a number")
    return name
