"""Every label has a code, or the import says which has none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.sr._concepts_dict import concepts

from dicomnode.domain.errors import ConfigError
from dicomnode.train.importing.codes import CATEGORIES, SIDES, Coded, codes_of, read_codes, shipped
from dicomnode.train.importing.nnunet_bundle import segment_tables
from dicomnode.train.importing.nnunet_labels import labels_of
from tests.unit.train.importing.made import dataset

#: The labels of TotalSegmentator's task total, version 2, in its own spelling (Wasserthal et al. 2023).
_NAMES = """
spleen kidney_right kidney_left gallbladder liver stomach pancreas adrenal_gland_right adrenal_gland_left
lung_upper_lobe_left lung_lower_lobe_left lung_upper_lobe_right lung_middle_lobe_right lung_lower_lobe_right esophagus
trachea thyroid_gland small_bowel duodenum colon urinary_bladder prostate kidney_cyst_left kidney_cyst_right sacrum
vertebrae_S1 vertebrae_L5 vertebrae_L4 vertebrae_L3 vertebrae_L2 vertebrae_L1 vertebrae_T12 vertebrae_T11
vertebrae_T10 vertebrae_T9 vertebrae_T8 vertebrae_T7 vertebrae_T6 vertebrae_T5 vertebrae_T4 vertebrae_T3 vertebrae_T2
vertebrae_T1 vertebrae_C7 vertebrae_C6 vertebrae_C5 vertebrae_C4 vertebrae_C3 vertebrae_C2 vertebrae_C1 heart aorta
pulmonary_vein brachiocephalic_trunk subclavian_artery_right subclavian_artery_left common_carotid_artery_right
common_carotid_artery_left brachiocephalic_vein_left brachiocephalic_vein_right atrial_appendage_left
superior_vena_cava inferior_vena_cava portal_vein_and_splenic_vein iliac_artery_left iliac_artery_right
iliac_vena_left iliac_vena_right humerus_left humerus_right scapula_left scapula_right clavicula_left clavicula_right
femur_left femur_right hip_left hip_right spinal_cord gluteus_maximus_left gluteus_maximus_right gluteus_medius_left
gluteus_medius_right gluteus_minimus_left gluteus_minimus_right autochthon_left autochthon_right iliopsoas_left
iliopsoas_right brain skull rib_left_1 rib_left_2 rib_left_3 rib_left_4 rib_left_5 rib_left_6 rib_left_7 rib_left_8
rib_left_9 rib_left_10 rib_left_11 rib_left_12 rib_right_1 rib_right_2 rib_right_3 rib_right_4 rib_right_5 rib_right_6
rib_right_7 rib_right_8 rib_right_9 rib_right_10 rib_right_11 rib_right_12 sternum costal_cartilages
"""
TOTAL = _NAMES.split()


def test_every_label_of_totalsegmentators_main_task_has_a_code_of_its_own() -> None:
    assert len(TOTAL) == len({*TOTAL}) == 117
    found = codes_of(TOTAL, {})
    assert len({(one.type, one.laterality, one.region) for one in found}) == 117
    for label, one in zip(TOTAL, found, strict=True):
        side = next((side for side in SIDES if f"_{side}" in f"{label}_"), "")
        # A few codes name the side themselves.
        assert one.laterality == side or (side and side in one.type.meaning.lower()), label
    by_label = dict(zip(TOTAL, found, strict=True))
    assert by_label["kidney_cyst_left"].category == "abnormality"
    assert by_label["kidney_cyst_left"].region is not None
    assert by_label["liver"].type.value == "10200004"


def test_what_recist_calls_no_lesion_or_not_measurable_is_not_measured_as_one() -> None:
    labels = labels_of(dataset(labels={"background": 0, "kidney_cyst_left": 1, "pleural_effusion": 2}))
    tables = segment_tables(labels, codes_of(labels.names, {}))
    # RECIST 1.1, 4.2 (simple cysts) and 3.2 (effusions).
    assert [table.get("subject") for table in tables] == [None, None]
    assert tables[1]["category"]["value"] == "91720002"


def test_codes_that_ps3_16_holds_mean_there_what_they_mean_here() -> None:
    known: dict[str, set[str]] = {}
    every: Any = concepts
    for entries in every["SCT"].values():
        for value, (meaning, _) in entries.items():
            known.setdefault(value, set()).add(meaning.lower())
    held = [one.type for one in shipped().values() if one.type.value in known]
    assert len(held) > 70
    odd = [code for code in held if not any(_alike(code.meaning, meaning) for meaning in known[code.value])]
    assert odd == []
    assert all(one.value in known for one in (*CATEGORIES.values(), *SIDES.values()) if one.value != "91720002")


def _alike(ours: str, theirs: str) -> bool:
    """Whether the longest word of one stands in the other, but for its ending."""
    words = sorted(ours.lower().split(), key=len)
    return any(word[:5] in theirs for word in words[-2:])


def test_a_stem_lends_its_code_to_both_sides_and_spelling_does_not_matter() -> None:
    left, right, whole = codes_of(["Kidney-left", "kidney right", "KIDNEY"], {})
    assert (left.laterality, right.laterality, whole.laterality) == ("left", "right", "")
    assert left.type == right.type == whole.type


def test_every_label_without_a_code_is_named_with_what_to_do() -> None:
    with pytest.raises(ConfigError) as caught:
        codes_of(["liver", "gizmo", "widget"], {})
    (fault,) = caught.value.faults
    assert fault.value == ["gizmo", "widget"]
    assert "--codes" in fault.remedy and "\n" not in str(fault)


def test_a_table_of_ones_own_goes_before_the_shipped_one(tmp_path: Path) -> None:
    table = tmp_path / "codes.tsv"
    table.write_text(
        "# mine\nlabel\tscheme\tvalue\tmeaning\tcategory\tlaterality\tregion_value\tregion_meaning\n"
        "gizmo\t99LOCAL\tG1\tGizmo\tlesion\tleft\t10200004\tLiver\nliver\t99LOCAL\tL1\tMy liver\n"
    )
    gizmo, liver = codes_of(["Gizmo", "liver"], read_codes(table))
    assert (gizmo.type.scheme, gizmo.category, gizmo.laterality) == ("99LOCAL", "lesion", "left")
    assert gizmo.region is not None and gizmo.region.meaning == "Liver"
    assert liver == Coded(type=liver.type) and liver.type.value == "L1"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("label\tvalue\nx\t1\n", "no column scheme and meaning"),
        ("label\tscheme\tvalue\tmeaning\nx\tSCT\t\tX\n", "value is empty"),
        ("label\tscheme\tvalue\tmeaning\tcategory\nx\tSCT\t1\tX\torgan\n", "write one of structure"),
        ("label\tscheme\tvalue\tmeaning\tlaterality\nx\tSCT\t1\tX\tboth\n", "write left, right, or nothing"),
        ("label\tscheme\tvalue\tmeaning\nx\tSCT\n", "value is empty"),
        ("", "no column"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    table = tmp_path / "codes.tsv"
    table.write_text(text)
    with pytest.raises(ConfigError, match=told):
        read_codes(table)


def test_a_table_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_codes(tmp_path / "none.tsv")
    (tmp_path / "bytes.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_codes(tmp_path / "bytes.tsv")
