"""What model.toml may say about preparation, and what it is told when it cannot be done."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import get_args

import pytest

from dicomnode.domain.errors import ConfigError
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.bundle.before import AnyPrepare
from dicomnode.infer.bundle.grids import InterpolatedTable, OntoTable, PrepareTable
from dicomnode.infer.prepare.pipeline import WAY
from dicomnode.infer.prepare.steps import GRIDS, JOINT, LABELS, MASKS, VALUES

TABLES: dict[str, type[PrepareTable]] = {
    get_args(table.model_fields["step"].annotation)[0]: table for table in get_args(get_args(AnyPrepare)[0])
}


def test_every_step_of_the_schema_is_done_and_the_other_way_round() -> None:
    assert set(TABLES) == {*GRIDS, *VALUES, *JOINT, *LABELS}
    # These do not ask what lies beyond the image.
    within = {"respace", "restep", "transpose"}
    assert {name for name, table in TABLES.items() if issubclass(table, OntoTable)} == {*GRIDS} - within
    assert {name for name in VALUES if "outside" in TABLES[name].model_fields} >= {"body_mask", "lungs"} > set()
    assert set(MASKS) == {"body", "lungs", "nonzero", "positive"}


@pytest.mark.parametrize("name", TABLES)
def test_settings_and_their_defaults_are_the_functions_own(name: str) -> None:
    fields = {key: field for key, field in TABLES[name].model_fields.items() if key not in ("step", "inputs")}
    if name in GRIDS:
        fields = {key: field for key, field in fields.items() if key not in WAY}
    keywords = dict(list(inspect.signature({**GRIDS, **VALUES, **JOINT, **LABELS}[name]).parameters.items())[1:])
    assert set(fields) == set(keywords)
    for key, field in fields.items():
        assert field.is_required() == (keywords[key].default is inspect.Parameter.empty), key
        if not field.is_required():
            assert field.default == keywords[key].default, key


def test_what_interpolates_lets_the_bundle_choose_how() -> None:
    assert {name for name, table in TABLES.items() if issubclass(table, InterpolatedTable)} == {
        "align",
        "resample",
        "resize",
    }


def edited(steps: str) -> Callable[[str], str]:
    """The toy bundle with these steps for its own."""

    def edit(text: str) -> str:
        before, rest = text.split("[[prepare]]", 1)
        return before + steps + "\n[tile]" + rest.split("[tile]", 1)[1]

    return edit


def one(name: str, **options: str) -> str:
    lines = [f'step = "{name}"', *(f"{key} = {value}" for key, value in options.items())]
    return "\n".join(["[[prepare]]", *lines, ""])


@pytest.mark.parametrize(
    ("steps", "key", "remedy"),
    [
        (one("clp", range="[0.0, 1.0]"), "prepare[0].step", "did you mean clip?"),
        ("[[prepare]]\nrange = [0.0, 1.0]\n", "prepare[0].step", "missing"),
        (one("clip", rnage="[0.0, 1.0]"), "prepare[0].rnage", "did you mean range?"),
        (one("clip"), "prepare[0].range", "missing"),
        (one("window", centre="40.0", width="0.0"), "prepare[0].width", "greater than 0"),
        (one("resample", spacing_mm="[1.0, 1.0]"), "prepare[0]", 'axes = "source"'),
        (one("resample", spacing_mm="[1.0, 1.0, 1.0, 1.0]"), "prepare[0].spacing_mm", "at most 3"),
        (one("resample", spacing_mm="1.0", interpolation='"cubic"'), "prepare[0].interpolation", "'bspline'"),
        (one("reorient", orientation='"LRP"'), "prepare[0].orientation", "such as HPL"),
        (one("zscore", mean="1.0"), "prepare[0]", "both mean and deviation"),
        (one("zscore", outside="0.0"), "prepare[0]", "nothing lies outside"),
        (one("minmax", over='"whole"', outside="0.0"), "prepare[0]", "nothing lies outside"),
        (one("equalise_locally", radius="2"), "prepare[0].radius", "greater than or equal to 3"),
        (one("bins"), "prepare[0]", "either count or width"),
        (one("match_histogram", percentiles="[1.0, 1.0]", reference="[0.0, 1.0]"), "prepare[0].percentiles", "rising"),
        (one("match_histogram", percentiles="[1.0, 9.0]", reference="[0.0, 1.0, 2.0]"), "prepare[0]", "2 and 3"),
        (one("crop_to_mask", around='"body"'), "the file as a whole", "needed a step body_mask before it"),
        (one("clip", range="[0.0, 1.0]", inputs='["pet"]'), "the file as a whole", "names inputs ['pet']"),
    ],
)
def test_a_step_that_cannot_be_done_is_told(
    bundle: Callable[..., ModelSpec], steps: str, key: str, remedy: str
) -> None:
    with pytest.raises(ConfigError) as error:
        bundle(edit=edited(steps))
    told = {fault.key.removeprefix("toy/model.toml: "): fault.remedy for fault in error.value.faults}
    assert remedy in told[key]


def test_every_step_is_read_with_its_defaults(bundle: Callable[..., ModelSpec]) -> None:
    steps = [
        one("reorient", orientation='"RAS"'),
        one("resample", spacing_mm="1.0"),
        one("body_mask"),
        one("crop_to_mask", around='"body"', margin_mm="5.0"),
        one("lungs", outside="-1000.0"),
        one("crop_or_pad", shape="[0, 512, 512]"),
        one("zscore", over='"lungs"'),
        one("median", radius="[0, 1, 1]"),
    ]
    spec = bundle(edit=edited("\n".join(steps)))
    assert [step.name for step in spec.prepare][:2] == ["reorient", "resample"]
    assert spec.prepare[1].options == {
        "spacing_mm": (1.0,),
        "axes": "patient",
        "interpolation": "linear",
        "outside": None,
    }
    assert spec.prepare[5].options["shape"] == (0, 512, 512)
    assert spec.prepare[7].options["radius"] == (0, 1, 1)
