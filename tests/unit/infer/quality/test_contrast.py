"""Contrast agent and phase, as attributes, codes and descriptions tell them, and where they do not."""

from __future__ import annotations

from typing import Any

import pytest

from dicomnode.infer.quality.contrast import RULES, phases_of
from tests.headers import code, item, multiframe, series


@pytest.mark.parametrize(
    ("description", "phases"),
    [
        ("Abdomen arteriell 1.5 B30f", ("arterial",)),
        ("ART 3.0", ()),
        ("state of the art recon", ()),
        ("no delay", ()),
        ("Leber portalvenös 5mm", ("portal_venous",)),
        ("LIVER_PORTAL_VENOUS", ("portal_venous",)),
        ("Abd PVP 3mm", ("portal_venous",)),
        ("PV mapping", ()),
        ("Abdomen venous", ("venous",)),
        ("Kidneys delayed 10min", ("delayed",)),
        ("Thorax nativ 1mm", ("native",)),
        ("HEAD W/O CONTRAST", ("native",)),
        ("Chest non-contrast", ("native",)),
        ("ohne KM", ("native",)),
        ("ARTERIAL + PORTAL", ("arterial", "portal_venous")),
        ("Thorax 3.0 B30f", ()),
        ("Cartilage party heart", ()),
        ("T1 MPRAGE sag", ()),
        ("", ()),
    ],
)
def test_a_description_tells_the_phase_in_whole_words(description: str, phases: tuple[str, ...]) -> None:
    assert phases_of(series(SeriesDescription=description)) == phases


def test_the_attribute_goes_before_the_code_and_the_code_before_the_description() -> None:
    coded = item(
        ConceptNameCodeSequence=(code("109058", "DCM", "Contrast Phase"),),
        ConceptCodeSequence=(code("999", "99TEST", "Portal venous phase"),),
    )
    other = item(
        ConceptNameCodeSequence=(code("113014", "DCM", "Study"),),
        ConceptCodeSequence=(code("998", "99TEST", "Delayed phase"),),
    )
    described = {"SeriesDescription": "arterial"}
    assert phases_of(series(AcquisitionContextSequence=(other, coded), **described)) == ("portal_venous",)
    usage = {"ContrastBolusUsageSequence": item(ContrastBolusAgentPhase="DELAYED")}
    enhanced = multiframe(usage, [{}, {}], AcquisitionContextSequence=(coded,), **described)
    assert phases_of(enhanced) == ("delayed",)


@pytest.mark.parametrize(
    ("description", "passed", "found"),
    [
        ("portal venous", True, "portal venous phase"),
        ("arterial", False, "arterial phase"),
        ("arterial and portal venous", None, "arterial and portal venous phase"),
        ("abdomen", None, "not stated"),
    ],
)
def test_a_phase_that_is_not_one_alone_is_not_known(description: str, passed: bool | None, found: str) -> None:
    outcome = RULES["contrast_phases"](series(SeriesDescription=description), ("portal_venous", "venous"))
    assert (outcome.passed, outcome.found, outcome.needed) == (passed, found, "portal venous or venous phase")


@pytest.mark.parametrize(
    ("attributes", "found"),
    [
        ({"ContrastBolusAgent": "ISOVUE300/100"}, "contrast agent present"),
        ({"ContrastBolusAgent": "NONE"}, "contrast agent absent"),
        ({"ContrastBolusAgent": ""}, "not stated"),
        ({}, "not stated"),
        ({"ContrastBolusAgent": "GASTROGRAFIN", "ContrastBolusRoute": "ORAL"}, "not stated"),
        ({"ContrastBolusAgentSequence": (code("7140000", "SCT", "Contrast agent"),)}, "contrast agent present"),
        ({"SeriesDescription": "Thorax mit KM"}, "contrast agent present"),
        ({"SeriesDescription": "portal venous"}, "contrast agent present"),
        ({"SeriesDescription": "native"}, "contrast agent absent"),
        (
            {"ContrastBolusAgent": "GASTRO & OMNI", "SeriesDescription": "Abdomen native"},
            "an agent stated but a native phase described",
        ),
        (
            {"ContrastBolusAgent": "none", "SeriesDescription": "arterial"},
            "no agent but an enhanced phase described",
        ),
    ],
)
def test_an_agent_is_present_absent_or_not_known(attributes: dict[str, Any], found: str) -> None:
    wanted, unwanted = (RULES["contrast"](series(**attributes), limit) for limit in ("present", "absent"))
    assert wanted.found == unwanted.found == found
    known = found.startswith("contrast agent")
    assert wanted.passed is (found.endswith("present") if known else None)
    assert unwanted.passed is (found.endswith("absent") if known else None)


@pytest.mark.parametrize(("administered", "passed"), [("YES", True), ("NO", False)])
def test_an_enhanced_object_says_whether_the_agent_was_given(administered: str, passed: bool) -> None:
    usage = {"ContrastBolusUsageSequence": item(ContrastBolusAgentAdministered=administered)}
    assert RULES["contrast"](multiframe({}, [usage, usage]), "present").passed is passed


@pytest.mark.parametrize(
    ("description", "found"),
    [
        *((text, "contrast agent absent") for text in (
            "T1 pre gad", "T1 without gad", "ohne gd", "CT ABD NO IV CONTRAST", "low dose CT no gad", "no contrast",
            "W/O CONTRAST", "ohne Kontrastmittel", "vor KM", "sans injection", "non-enhanced", "noncon", "T1 GD-",
            "ax C-",
        )),
        *((text, "contrast agent present") for text in (
            "T1 post gad", "nach KM", "T1 KM", "T1 +C", "C+ 3mm", "CE-MRA", "CT chest with IV contrast",
        )),
        *((text, "both a native and an enhanced series described") for text in (
            "W/WO CONTRAST", "W W/O CONTRAST", "without and with contrast", "PRE and POST GAD", "vor und nach KM",
            "native and arterial phase",
        )),
        *((text, "not stated") for text in (
            "C-SPINE", "T1 gd", "state of the art", "plain film", "with oral contrast", "without oral contrast",
        )),
    ],
)  # fmt: skip
def test_what_is_denied_was_not_given_and_what_is_told_of_both_is_not_known(description: str, found: str) -> None:
    for modality in ("CT", "MR"):
        source = series(SeriesDescription=f"Liver {description}", Modality=modality)
        outcome = RULES["contrast"](source, "present")
        assert outcome.found == found
        assert outcome.passed is {"contrast agent present": True, "contrast agent absent": False}.get(found)


@pytest.mark.parametrize(
    ("attributes", "phases"),
    [
        ({"SeriesDescription": "venous sinus MRV 2D TOF"}, ()),
        ({"SeriesDescription": "carotid arterial TOF"}, ()),
        ({"SeriesDescription": "arterial ASL liver"}, ()),
        ({"SeriesDescription": "LAVA liver arterial"}, ("arterial",)),
        ({"SeriesDescription": "arterial phase"}, ("arterial",)),
        ({"SeriesDescription": "venous +C"}, ("venous",)),
        ({"SeriesDescription": "venous", "ContrastBolusAgent": "GADOVIST"}, ("venous",)),
        ({"SeriesDescription": "Delayed image", "Modality": "PT"}, ()),
    ],
)
def test_outside_ct_the_words_of_vessels_are_phases_only_beside_an_agent_or_an_organ_seen_in_phases(
    attributes: dict[str, Any], phases: tuple[str, ...]
) -> None:
    assert phases_of(series(**{"Modality": "MR", **attributes})) == phases
