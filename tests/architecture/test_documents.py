"""The documents say what the code does: every key of model.toml, every step, every rule, and examples that load."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from dicomnode.infer.bundle.after import CascadeTable, NetworkTable, OutputTable, TileTable
from dicomnode.infer.bundle.before import AnyPrepare
from dicomnode.infer.bundle.labels import ClassTable, ScoreTable, SegmentTable
from dicomnode.infer.bundle.limits import InputLimits, PlausibleTable
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.bundle.measure import ContoursTable, MeasureTable, PartTable
from dicomnode.infer.bundle.post import AnyPost
from dicomnode.infer.bundle.radiomics import HarmonisationTable, ImageTypesTable, RadiomicsTable
from dicomnode.infer.bundle.schema import Bundle, FoldTable, ModelTable
from dicomnode.infer.bundle.signature import (
    DistributionTable,
    FeatureTable,
    PlattTable,
    RiskTable,
    SignatureTable,
    SurvivalTable,
)
from dicomnode.route.select import ORDER

ROOT = Path(__file__).resolve().parents[2]
MODELS = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")


def steps(union: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    for table in get_args(get_args(union)[0]):
        yield get_args(table.model_fields["step"].annotation)[0], table


def settings(table: type[BaseModel]) -> str:
    """The settings of a step with their defaults, as the document writes them."""
    told = []
    for name, field in table.model_fields.items():
        if name in ("step", "inputs", "segments"):
            continue
        default = field.default
        if default is PydanticUndefined:
            told.append(f"`{name}`")
        elif default is None:
            told.append(f"`{name}` (none)")
        else:
            written = str(list(default)) if isinstance(default, tuple) else str(default)
            told.append(f"`{name}` ({written.lower() if isinstance(default, bool) else written})")
    return ", ".join(told)


def row(step: str, table: type[BaseModel]) -> str:
    meaning = " ".join((inspect.getdoc(table) or "").split())
    return f"| `{step}` | {meaning} | {settings(table)} |"


@pytest.mark.parametrize("union", [AnyPrepare, AnyPost], ids=["prepare", "post"])
def test_every_step_stands_in_the_document_with_its_settings(union: Any) -> None:
    missing = [text for step, table in steps(union) if (text := row(step, table)) not in MODELS]
    assert missing == []


def test_the_document_names_no_step_that_does_not_exist() -> None:
    known = {step for union in (AnyPrepare, AnyPost) for step, _ in steps(union)}
    section = MODELS.split("## Steps before the network")[1].split("## What is valid")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == known


@pytest.mark.parametrize(
    "table",
    [
        Bundle, ModelTable, FoldTable, TileTable, NetworkTable, OutputTable, CascadeTable, SegmentTable, ClassTable,
        ScoreTable, InputLimits, PlausibleTable, MeasureTable, PartTable, ContoursTable, RadiomicsTable,
        ImageTypesTable, HarmonisationTable, SignatureTable, FeatureTable, RiskTable, PlattTable, SurvivalTable,
        DistributionTable,
    ],
)  # fmt: skip
def test_every_key_of_a_bundle_is_explained(table: type[BaseModel]) -> None:
    names = [field.alias or name for name, field in table.model_fields.items()]
    assert [name for name in names if f"`{name}`" not in MODELS and f"[{name}]" not in MODELS] == []


def test_the_order_of_preference_is_the_documented_one() -> None:
    assert "\n".join(f"{number}. {line}" for number, line in enumerate(ORDER, start=1)) in MODELS


def test_the_examples_of_bundles_load(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.+?)```", MODELS, re.DOTALL)
    bundles = [block for block in blocks if "[model]" in block]
    assert len(bundles) >= 2
    for block in bundles:
        folder = tmp_path / re.findall(r'^name = "([^"]+)"', block, re.MULTILINE)[0]
        folder.mkdir()
        (folder / "model.toml").write_text(re.sub(r'"<sha256>"', f'"{hashlib.sha256(b"").hexdigest()}"', block))
        assert load_bundle(folder).name


def test_the_readme_is_short_and_leads_to_the_documents() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    # A page that is read to its end; what it leaves out is a link away.
    assert len(readme.splitlines()) <= 280
    for page in ("index", "quick-start", "safety", "reference/verbs", "reference/configuration", "howto/rule"):
        assert f"(docs/{page}.md)" in readme
    assert "Not a medical device" in readme
