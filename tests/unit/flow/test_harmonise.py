"""A table of features becomes the file of a bundle, or a list of faults with remedies."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dicomnode.domain.errors import ConfigError
from dicomnode.flow.harmonise.fit import Fitted, fit, write
from dicomnode.flow.harmonise.table import read_table
from dicomnode.flow.process import Processed, process
from dicomnode.infer.bundle.harmonisation import read_harmonisation
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions
from dicomnode.measure.features.harmonised import harmonised
from tests.toy import TOML, write_bundle

FEATURES = ("original_firstorder_Mean", "original_glcm_Contrast", "original_shape_MeshVolume")


def table(path: Path, *, scans: int = 25, spoil: dict[str, str] | None = None, noisy: bool = False) -> Path:
    """Every object is scanned on A and on B, which shifts and stretches; the last feature of B may be noise."""
    random = np.random.default_rng(2)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["object", "ManufacturerModelName", "ConvolutionKernel", "batch", "batch_by", *FEATURES])
        for number in range(scans):
            truth = random.normal([40, 8, 900], [10, 2, 200])
            for model in ("A", "B"):
                values = truth + random.normal(scale=[0.3, 0.06, 6])
                values = values * 1.4 + [12, 3, 80] if model == "B" else values
                if noisy and model == "B":
                    values[2] = random.normal(900, 200)
                row = [f"o{number}", model, "B30f", f"{model} | B30f", "ManufacturerModelName+ConvolutionKernel"]
                numbers = dict(zip(FEATURES, map(repr, map(float, values)), strict=True))
                writer.writerow(
                    [*row, *{**numbers, **((spoil or {}) if number == 0 and model == "B" else {})}.values()]
                )
        writer.writerow(["failed", "", "", "", "", "", "", ""])
    return path


def fitted(path: Path, reference: str = "A | B30f", retest: tuple[str, ...] = ("object",), minimum: int = 20) -> Fitted:
    read = read_table(path, ("batch",), retest, (), ())
    return fit(read, reference, minimum=minimum, least_ccc=0.9, named=path.name, paired=bool(retest))


def faults(path: Path, **how: object) -> str:
    with pytest.raises(ConfigError) as caught:
        fitted(path, **how)  # type: ignore[arg-type]
    return str(caught.value)


def test_the_file_brings_a_scanner_to_the_reference(tmp_path: Path) -> None:
    found = fitted(table(tmp_path / "features.csv"))
    assert found.table.left_out == 1 and found.pairs == 25
    path = tmp_path / "harmonisation.json"
    made = read_harmonisation(path, write(found, path))
    assert made == found.harmonisation
    assert made.batch_by == ("ManufacturerModelName", "ConvolutionKernel")
    assert made.kept == FEATURES
    assert "25 of A | B30f, 25 of B | B30f (features.csv); 3 of 3 features kept" in made.source
    # A new object of the size of those measured, as B would show it.
    values, changed, remark = harmonised({FEATURES[0]: 40 * 1.4 + 12}, made, "B | B30f")
    assert values[FEATURES[0]] == pytest.approx(40, abs=1)
    assert changed == {FEATURES[0]} and remark.startswith("1 of 1 features harmonised from batch B | B30f to A | B30f")
    _, unchanged, unknown = harmonised({FEATURES[0]: 68.0}, made, "C | B30f")
    assert not unchanged and unknown.startswith("not harmonised")


def test_equal_tables_make_equal_bytes(tmp_path: Path) -> None:
    found = fitted(table(tmp_path / "features.csv"))
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    assert write(found, first) == write(found, second) == hashlib.sha256(first.read_bytes()).hexdigest()


def test_features_on_which_repeated_scans_disagree_are_not_kept(tmp_path: Path) -> None:
    found = fitted(table(tmp_path / "features.csv", noisy=True))
    assert found.harmonisation.kept == FEATURES[:2]
    assert found.concordance[FEATURES[2]].ccc.value < 0.6 < 0.98 < found.concordance[FEATURES[0]].ccc.value
    without = fitted(tmp_path / "features.csv", retest=())
    assert without.harmonisation.kept == FEATURES and "without repeated scans" in without.harmonisation.source


def test_too_few_scans_are_told_by_batch(tmp_path: Path) -> None:
    said = faults(table(tmp_path / "features.csv", scans=12))
    assert "batch = 'A | B30f': 12 scans, needed 20 or more" in said and "'B | B30f'" in said
    assert fitted(tmp_path / "features.csv", minimum=12).pairs == 12


def test_values_that_are_no_numbers_are_told_by_feature(tmp_path: Path) -> None:
    said = faults(table(tmp_path / "features.csv", spoil={FEATURES[1]: "nan", FEATURES[2]: ""}))
    assert said.count("no finite number in 1 of 50 rows") == 2
    assert f"--leave-out '{FEATURES[1]}'" in said


def test_a_constant_feature_is_told(tmp_path: Path) -> None:
    path = table(tmp_path / "features.csv")
    lines = [line.rsplit(",", 1) for line in path.read_text().splitlines()]
    path.write_text(
        "\n".join(f"{rest},{last if number == 0 or not last else 7.25}" for number, (rest, last) in enumerate(lines))
    )
    said = faults(path)
    assert f"feature = '{FEATURES[2]}': the same in all scans of batch A | B30f" in said
    left = read_table(path, ("batch",), (), (), ("original_shape_*",))
    assert left.features == FEATURES[:2]


def test_one_batch_or_an_unknown_reference_is_told(tmp_path: Path) -> None:
    path = table(tmp_path / "features.csv")
    assert "no such batch; there are A | B30f, B | B30f" in faults(path, reference="Z")
    path.write_text("\n".join(line for line in path.read_text().splitlines() if ",B," not in line))
    assert "the only batch" in faults(path, retest=())


def test_a_column_that_is_no_keyword_needs_the_keywords(tmp_path: Path) -> None:
    path = tmp_path / "features.csv"
    path.write_text(table(path).read_text().replace("ManufacturerModelName,", "scanner,", 1))
    read = read_table(path, ("scanner",), (), (), ())
    with pytest.raises(ConfigError, match="no DICOM keyword"):
        fit(read, "A", minimum=20, least_ccc=0.9, named="t", paired=False)
    stated = read_table(path, ("scanner",), (), ("ManufacturerModelName",), ())
    done = fit(stated, "A", minimum=20, least_ccc=0.9, named="t", paired=False)
    assert done.harmonisation.batch_by == ("ManufacturerModelName",)


def test_rows_of_another_kind_can_be_passed_over(tmp_path: Path) -> None:
    path = table(tmp_path / "features.csv")
    read = read_table(path, ("batch",), (), (), (), ("ManufacturerModelName=B", "object=o3"))
    assert read.batch == ("B | B30f",) and read.left_out == 0
    with pytest.raises(ConfigError, match="no such column"):
        read_table(path, ("batch",), (), (), (), ("Modality=CT",))
    with pytest.raises(ConfigError, match="no row has features"):
        read_table(path, ("batch",), (), (), (), ("ManufacturerModelName=Z",))


def test_more_than_two_repetitions_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "features.csv")
    assert "25 rows, needed two" in faults(path, retest=("ManufacturerModelName",))
    assert "no such column" in faults(path, retest=("pair",))


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    path = tmp_path / "features.csv"
    path.write_bytes(b"\xff\xfe\x00")
    assert "no CSV in UTF-8" in faults(path)
    path.write_text("batch,a,b\nx,1,2\n")
    assert "0 columns named as pyradiomics names features" in faults(path, retest=())


def test_the_node_applies_what_was_fitted_and_its_report_says_so(ct: Callable[..., list[Path]], tmp_path: Path) -> None:
    path = tmp_path / "features.csv"
    path.write_text(table(path).read_text().replace("A,B30f", "other,B30f").replace(",B,B30f", ",tests,B30f"))
    read = read_table(path, ("ManufacturerModelName",), (), ("Manufacturer",), ("original_glcm_*",))
    found = fit(read, "other", minimum=20, least_ccc=0.9, named="phantom", paired=False)
    folder = tmp_path / "models" / "toy"
    write_bundle(
        tmp_path / "models",
        toml=TOML
        + 'radiomics = true\n[harmonisation]\nfile = "h.json"\nsha256 = "{digest}"\n'.replace(
            "{digest}", write(found, tmp_path / "h.json")
        ),
    )
    (tmp_path / "h.json").rename(folder / "h.json")
    spec = load_bundle(folder)
    done = process(ct(), spec, ("sr", "radiomics"), tmp_path / "out", Sessions(threads=1))
    assert isinstance(done, Processed)
    (features,) = done.analysis.findings.features
    shift, factor = found.harmonisation.batches["tests"][FEATURES[0]]
    # The block has 200 HU throughout.
    assert features.values[FEATURES[0]] == pytest.approx((200 - shift) * factor)
    words = f"harmonised from batch tests to other ({found.harmonisation.source})"
    assert done.written and all(words in "".join(texts(dcmread(one))) for one in done.written)


def texts(item: Dataset) -> Iterator[str]:
    """What a report says in words."""
    yield str(item.get("TextValue", ""))
    for child in item.get("ContentSequence") or ():
        yield from texts(child)
