"""Whether names can stand in the pixels, judged by attributes and kind of object and never by the pixels."""

from __future__ import annotations

from pydicom import Dataset

from dicomnode.domain.errors import Unsuitable

#: Kinds of object that are screens, scans of paper, documents or films of people, by what their UID begins with
#: (PS3.4 B.5): Secondary Capture, encapsulated documents, visible light, video; also ultrasound, whose frames carry
#: the name of the patient as a rule (PS3.3 C.8.5.6).
_DRAWN = (
    "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.77.1", "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.6.2",
)  # fmt: skip
#: Encapsulated documents, waveforms with sound, DICOMDIR: nothing here knows how to take a name out of them.
_OPAQUE = ("1.2.840.10008.5.1.4.1.1.104", "1.2.840.10008.5.1.4.1.1.9", "1.2.840.10008.1.3.10")
#: Raw data are opaque; segmentations, registrations and surfaces have UIDs below theirs and are not.
_RAW = "1.2.840.10008.5.1.4.1.1.66"
_PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"

_SCREEN = frozenset({"SCREEN SAVE", "SCREENSHOT", "DOSE_INFO"})
_FACES = frozenset({"HEAD", "BRAIN", "SKULL", "FACE", "HEADNECK", "SINUS", "WHOLEBODY"})


def judge(ds: Dataset) -> tuple[str, ...]:
    """What a person should look at before the object leaves; for one that may not leave, an error.

    Raises
    ------
    Unsuitable
        If the object says that names are burned in (Burned In Annotation, PS3.3 C.7.6.1), is of a kind whose
        pixels commonly hold them and does not deny it, or cannot be searched at all.
    """
    kind = str(ds.get("SOPClassUID", ""))
    burned = str(ds.get("BurnedInAnnotation", "") or "").strip().upper()
    if "EncapsulatedDocument" in ds or kind == _RAW or _of(kind, _OPAQUE):
        raise Unsuitable("not de-identified: a document, sound or raw data, in which names cannot be found")
    if burned == "YES":
        raise Unsuitable("not de-identified: Burned In Annotation is YES")
    if _of(kind, _DRAWN) and burned != "NO":
        raise Unsuitable("not de-identified: pixels of this kind hold names as a rule; Burned In Annotation must be NO")
    if _SCREEN & {str(one).strip().upper() for one in ds.get("ImageType") or []} and burned != "NO":
        raise Unsuitable("not de-identified: a copy of a screen; Burned In Annotation must be NO")
    warnings = []
    if "PixelData" in ds and "SECONDARY" in (ds.get("ImageType") or []) and burned != "NO" and not _of_masks(kind):
        warnings.append("a derived image that does not say whether anything is written in it")
    if str(ds.get("RecognizableVisualFeatures", "")).strip() == "YES" or (
        str(ds.get("BodyPartExamined", "")).strip().upper() in _FACES and str(ds.get("Modality", "")) in ("CT", "MR")
    ):
        warnings.append("images of a head, from which a face can be drawn")
    return tuple(warnings)


def _of(kind: str, roots: tuple[str, ...]) -> bool:
    return any(kind == root or kind.startswith(f"{root}.") for root in roots)


def _of_masks(kind: str) -> bool:
    """Whether the pixels are a mask or a map that some program wrote."""
    return kind.startswith(f"{_RAW}.") or kind == _PARAMETRIC_MAP
