"""Body part and side of a result's series, as its source says them."""

from __future__ import annotations

from pydicom import Dataset

#: Body parts that are no pair (PS3.16 Annex L, Table L-1), as far as images of them are common.
UNPAIRED = frozenset(
    {
        "ABDOMEN", "ABDOMENPELVIS", "AORTA", "BLADDER", "BRAIN", "CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "COCCYX",
        "COLON", "CSPINE", "ESOPHAGUS", "HEAD", "HEADNECK", "HEART", "LIVER", "LSPINE", "LSSPINE", "MEDIASTINUM",
        "NECK", "NECKCHEST", "NECKCHESTABDOMEN", "NECKCHESTABDPELV", "PANCREAS", "PELVIS", "PROSTATE", "SACRUM",
        "SKULL", "SPINE", "SPLEEN", "SSPINE", "STERNUM", "STOMACH", "TRACHEA", "TSPINE", "UTERUS", "WHOLEBODY",
    }
)  # fmt: skip


def tell_body_part(result: Dataset, header: Dataset) -> None:
    """Set Body Part Examined and Laterality (PS3.3 C.7.3.1) on an object whose class has a General Series Module.

    Laterality is of type 2C: asked for, empty where unknown, unless the body part is known to be no pair.
    """
    part = str(header.get("BodyPartExamined") or "").strip()
    if part:
        result.BodyPartExamined = part
    if header.get("Laterality") or part.upper() not in UNPAIRED:
        result.Laterality = header.get("Laterality") or ""
