"""A signature from images to report: regions, features, headers, score, contributions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Provenance
from dicomnode.domain.measuring import Harmonisation
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.analyse import Analysis, analyse
from dicomnode.infer.bundle.harmonisation import content_of
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions
from tests.series import bundles, classic
from tests.series.header import Place
from tests.series.scan import upright
from tests.unit.infer import vectors

SHAPE, SPACING_MM = (20, 18, 10), (2.0, 2.0, 4.0)

#: Columns, rows and slices of two lesions; the first is the larger one.
LESIONS = ((slice(3, 9), slice(4, 10), slice(2, 6)), (slice(12, 15), slice(4, 8), slice(3, 6)))

CT = '[input.ct]\nModality = "CT"\n'

COARSE = f"""{CT}
[[prepare]]
step = "scale"
range = [0.0, 1000.0]
[tile]
shape = [10, 18, 20]
overlap = 0.0
batch = 1
[output]
activation = "softmax"
[[post]]
step = "lesions"
segments = [1]
into = [2]
"""

LABEL = """
[[segment]]
number = {number}
label = "Lesion {number}"
subject = "lesion"
derived = {derived}
category = {{ value = "49755003", scheme = "SCT", meaning = "Morphologically Abnormal Structure" }}
type = {{ value = "4147007", scheme = "SCT", meaning = "Mass" }}
"""

FEATURES = """
[[signature.feature]]
name = "original_firstorder_Mean"
mask = "lesion"
mean = 300.0
std = 100.0
summary = "{summary}"
[[signature.feature]]
name = "original_firstorder_Mean"
mask = "ring"
mean = 0.0
std = 10.0
[[signature.feature]]
name = "original_firstorder_Maximum"
mask = "part:hot"
mean = 400.0
std = 50.0
missing = 450.0
[[signature.feature]]
name = "PatientAge"
mean = 60.0
std = 10.0
"""

PART = """
[[measure.part]]
name = "hot"
label = "Hot part"
type = {{ value = "4147007", scheme = "SCT", meaning = "Mass" }}
range = [{lowest}, 3000.0]
"""

SIGNATURE = '[signature]\nendpoint = "death"\nhorizon = "2 years"\nring_mm = 4.0\n'

WEIGHTS = (0.5, -0.2, 0.3, 1.1)


def lattice() -> NDArray[np.int16]:
    """A background about 0 with two lesions of 300 to 500 HU, columns first."""
    random = np.random.default_rng(5)
    array = random.integers(-20, 20, SHAPE).astype(np.int16)
    for columns, rows, slices in LESIONS:
        block = array[columns, rows, slices]
        block[...] = random.integers(300, 500, block.shape)
    return array


def drawn(models: Path) -> Path:
    """The same signature of lesions that somebody has drawn."""
    body = CT + '[input.contours]\nModality = "SEG"\n' + PART.format(lowest=400.0) + '[contours]\ninput = "contours"\n'
    body += SIGNATURE + FEATURES.format(summary="largest") + vectors.DISTRIBUTION + vectors.SCORE
    return bundles.write(models, "m", body, vectors.cox(WEIGHTS)[0], task="score")


def write(models: Path, *, summary: str = "largest", lowest: float = 400.0, more: str = vectors.DISTRIBUTION) -> Path:
    content, _ = vectors.cox(WEIGHTS)
    body = CT + PART.format(lowest=lowest) + '[cascade]\nfolder = "coarse"\n'
    body += SIGNATURE
    folder = bundles.write(
        models, "m", body + FEATURES.format(summary=summary) + more + vectors.SCORE, content, task="score"
    )
    network = bundles.threshold(0.2)
    bundles.write(
        folder,
        "coarse",
        COARSE + LABEL.format(number=1, derived="false") + LABEL.format(number=2, derived="true"),
        network,
    )
    assert hashlib.sha256(network).hexdigest() in (folder / "coarse" / "model.toml").read_text()
    return folder


def run(folder: Path, array: NDArray[np.int16], *, contours: Sequence[Path] = (), **header: str) -> Analysis:
    place = Place(study="s", series="ct", frame="f", more={"PatientAge": "071Y", **header})
    paths = []
    for number, ds in enumerate(classic.ct(upright(array, SPACING_MM, (-10.0, -20.0, 30.0)), place)):
        paths.append(folder / f"{number}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    model = load_bundle(folder)
    provenance = Provenance(
        node_version="0", station="NODE", rule="r", model=model, revision=1, run=1,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    uids = ResultUids(study_instance_uid="1.2", rule="r", input_digest="i", recipe_digest="d", run=1)
    inputs = {"ct": paths, "contours": contours}
    return analyse(inputs, ("seg", "sr"), provenance, uids, Sessions(threads=1))


def ring(array: NDArray[np.int16], lesion: int) -> NDArray[np.bool_]:
    """Voxels within 4 mm of a lesion that belong to none, by brute force."""
    every = np.zeros(SHAPE, dtype=bool)
    for place in LESIONS:
        every[place] = True
    own = np.zeros(SHAPE, dtype=bool)
    own[LESIONS[lesion]] = True
    places, centres = np.argwhere(~every), np.argwhere(own)
    steps = (places[:, None] - centres[None]) * np.array(SPACING_MM)
    near = np.sqrt((steps**2).sum(axis=2)).min(axis=1) <= 4.0
    found = np.zeros(SHAPE, dtype=bool)
    found[tuple(places[near].T)] = True
    return found


def expected(array: NDArray[np.int16], mean: float) -> float:
    largest = array[LESIONS[0]]
    vector = [
        (mean - 300.0) / 100.0,
        float(array[ring(array, 0)].mean()) / 10.0,
        (float(largest.max()) - 400.0) / 50.0,
        (71.0 - 60.0) / 10.0,
    ]
    return float(np.dot(vector, WEIGHTS))


def items(node: Dataset) -> Iterator[Dataset]:
    for item in node.get("ContentSequence", ()):
        yield item
        yield from items(item)


def numbers(report: Dataset) -> dict[str, float]:
    return {
        str(item.ConceptNameCodeSequence[0].CodeMeaning): float(item.MeasuredValueSequence[0].NumericValue)
        for item in items(report)
        if item.get("ValueType") == "NUM" and "MeasuredValueSequence" in item
    }


def report(outputs: Iterable[Any]) -> Dataset:
    (found,) = [one.dataset for one in outputs if one.role == "sr"]
    assert isinstance(found, Dataset)
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """What comes of the largest lesion."""
    return run(write(tmp_path_factory.mktemp("models")), lattice())


def test_a_score_is_computed_from_the_largest_lesion_its_ring_its_part_and_the_headers(found: Analysis) -> None:
    array = lattice()
    score = expected(array, float(array[LESIONS[0]].mean()))
    told = numbers(report(found.outputs))
    assert told["Score of progression"] == pytest.approx(score, rel=1e-4)
    assert told["Percentile Ranking of measurement"] == pytest.approx(50 + 5 * score, rel=1e-4)
    assert not any("Risk" in name for name in told)
    assert told["Contribution of PatientAge"] == pytest.approx(1.1 * 1.1, rel=1e-4)
    assert "Computed from Lesion 1, the largest of 2 lesions (2.30 ml)." in found.findings.statements
    texts = {str(item.TextValue) for item in items(report(found.outputs)) if item.get("ValueType") == "TEXT"}
    assert {"Endpoint: death; horizon: 2 years.", "The score is not calibrated, so that no risk is stated."} <= texts


def test_the_regions_of_a_score_are_measured_and_sent_as_any_others(found: Analysis) -> None:
    assert [one.label for one in found.findings.segmentation.present()] == ["Lesion 1", "Lesion 2"]
    assert {one.role for one in found.outputs} >= {"seg", "sr"}
    assert {row.segment_number for row in found.findings.measurements} == {0, 1, 2}


@pytest.mark.parametrize("summary", ["mean", "max", "volume_weighted"])
def test_the_values_of_all_lesions_become_one(tmp_path: Path, summary: str) -> None:
    array = lattice()
    means = [float(array[place].mean()) for place in LESIONS]
    sizes = [float(array[place].size) for place in LESIONS]
    largest = [float(mean == max(means)) for mean in means]
    weights: dict[str, list[float]] = {"mean": [1.0, 1.0], "max": largest, "volume_weighted": sizes}
    mean = float(np.average(means, weights=weights[summary]))
    found = run(write(tmp_path, summary=summary), array)
    assert found.findings.measurements[-2].value == pytest.approx(expected(array, mean), rel=1e-4)


def test_an_empty_part_is_imputed_as_in_training_and_said(tmp_path: Path) -> None:
    found = run(write(tmp_path, lowest=2000.0), lattice())
    assert [one.imputed for one in found.findings.contributions] == [False, False, True, False]
    assert any("Maximum of part hot is not known (the region is empty" in text for text in found.findings.statements)


def test_an_age_that_no_header_tells_refuses(tmp_path: Path) -> None:
    with pytest.raises(Unsuitable, match=r"no PatientAge \(the headers do not tell\), needed for its score"):
        run(write(tmp_path), lattice(), PatientAge="", PatientBirthDate="")


def test_without_a_lesion_there_is_no_score(tmp_path: Path) -> None:
    with pytest.raises(
        Unsuitable, match="no Lesion 1 or Lesion 2 found, so there is nothing to compute the score from"
    ):
        run(write(tmp_path), np.zeros(SHAPE, np.int16) + np.arange(20, dtype=np.int16)[:, None, None])


HARMONISATION = Harmonisation(
    batch_by=("ManufacturerModelName",),
    reference="A",
    batches={"B": {"original_firstorder_Mean": (6.0, 0.5)}},
    kept=("original_firstorder_Mean",),
    source="a phantom",
)


@pytest.mark.parametrize(
    ("scanner", "said"), [("B", "harmonised from batch B to A"), ("C", "not harmonised: no parameters for batch C")]
)
def test_features_are_harmonised_where_the_scanner_is_known_and_else_it_is_said(
    tmp_path: Path, scanner: str, said: str
) -> None:
    folder = write(tmp_path)
    (folder / "harmonisation.json").write_bytes(content_of(HARMONISATION))
    digest = hashlib.sha256(content_of(HARMONISATION)).hexdigest()
    description = folder / "model.toml"
    table = f'\n[harmonisation]\nfile = "harmonisation.json"\nsha256 = "{digest}"\n'
    description.write_text(description.read_text() + table)
    array = lattice()
    found = run(folder, array, ManufacturerModelName=scanner)
    measured = float(array[LESIONS[0]].mean())
    value = (measured - 6.0) * 0.5 if scanner == "B" else measured
    assert found.findings.contributions[0].value == pytest.approx(value, rel=1e-6)
    assert any(said in text for text in found.findings.statements)


def test_the_same_lesions_as_a_segmentation_of_another_hand_have_the_same_score(
    tmp_path: Path, found: Analysis
) -> None:
    (mask,) = [one.dataset for one in found.outputs if one.role == "seg"]
    mask.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    again = run(drawn(tmp_path), lattice(), contours=[tmp_path / "seg.dcm"])
    assert again.findings.contributions == found.findings.contributions
    assert (
        numbers(report(again.outputs))["Score of progression"] == numbers(report(found.outputs))["Score of progression"]
    )
