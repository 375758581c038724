"""A bundle is written whole or not at all, and its description is TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.domain.errors import ConfigError, ModelError
from dicomnode.train.importing.written import new_bundle, sha256_of, toml

SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**31), 2**31),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f")),
)
KEYS = st.from_regex(r"\A[a-z][a-z0-9_-]{0,8}\Z")
VALUES = st.one_of(SCALARS, st.lists(SCALARS.filter(lambda one: isinstance(one, str)), max_size=3))


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4))
def test_tables_come_back_from_toml_as_they_were(tables: dict[str, dict[str, object]]) -> None:
    assert tomllib.loads(toml(tables)) == tables


def test_nested_tables_rows_and_codes_come_back() -> None:
    tables = {
        "model": {"name": "x", "fold": [{"onnx": "a.onnx"}, {"onnx": "b.onnx"}]},
        "input": {"ct": {"Modality": "CT"}, "pt-2": {"Modality": "PT"}},
        "prepare": [{"step": "clip", "range": [-1e-05, 2.5]}, {"step": "nonzero"}],
        "segment": [
            {"number": 1, "label": 'a "b" \\ ü', "type": {"value": "1", "meaning": "x"}, "color_rgb": [1, 2, 3]}
        ],
    }
    assert tomllib.loads(toml(tables)) == tables


def test_a_bundle_appears_when_it_is_done(tmp_path: Path) -> None:
    with new_bundle(tmp_path, "one") as draft:
        (draft / "model.toml").write_text("x")
        assert not (tmp_path / "one").exists()
        assert list(tmp_path.glob("*/model.toml")) == []
    assert (tmp_path / "one" / "model.toml").read_text() == "x"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


@pytest.mark.parametrize("error", [ModelError("x"), KeyboardInterrupt(), ValueError("x")])
def test_nothing_stays_of_a_bundle_that_fails(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), new_bundle(tmp_path, "one") as draft:
        (draft / "model.toml").write_text("x")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_import_has_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / ".importing-one" / "one"
    left.mkdir(parents=True)
    (left / "old").touch()
    with new_bundle(tmp_path, "one") as draft:
        assert list(draft.iterdir()) == []


@pytest.mark.parametrize("name", ["../evil", "a/b", "/abs", "Bad Name", "", "-a", "one\n", ".."])
def test_a_name_that_no_bundle_may_bear_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    models = tmp_path / "models"
    models.mkdir()
    named = str(tmp_path / "abs") if name == "/abs" else name
    with pytest.raises(ConfigError, match="a-z, 0-9 and hyphens"), new_bundle(models, named) as draft:
        (draft / "model.toml").write_text("x")
    assert [path.name for path in tmp_path.rglob("*")] == ["models"]


def test_a_name_that_is_taken_is_refused_and_so_is_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with pytest.raises(ConfigError, match="exists already"), new_bundle(tmp_path, "one"):
        pass
    with pytest.raises(ConfigError, match="no such folder"), new_bundle(tmp_path / "none", "one"):
        pass
    assert sha256_of(Path(__file__)).isalnum()
