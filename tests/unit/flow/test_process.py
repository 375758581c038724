"""`dicomnode process` on files: every task says what it found, and what cannot be analysed says why."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from rich.console import Console
from typer.testing import CliRunner, Result

from dicomnode.cli import app, main
from dicomnode.domain.errors import ConfigError
from dicomnode.flow.reason import NO_MEMORY
from tests.series import bundles, classic
from tests.series.header import Place
from tests.series.scan import upright

Run = Callable[..., Result]

INPUT = '[input.ct]\nModality = "CT"\n'
REST = """
[[prepare]]
step = "scale"
range = [0.0, 1000.0]
[tile]
shape = [10, 16, 16]
overlap = 0.0
batch = 1
[output]
activation = "softmax"
"""


def images(make: Callable[..., list[Dataset]], name: str, value: int = 400, *, slices: int = 10) -> list[Dataset]:
    """A block of one value in nothing: 4 × 8 × 8 voxels."""
    lattice = np.zeros((16, 16, slices), np.int16)
    lattice[4:12, 2:10, 3:7] = value
    return make(upright(lattice, (2.0, 2.0, 4.0), (-10.0, -20.0, 30.0)), Place(study="s", series=name, frame="f"))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    # A log that writes to this command's stderr would outlive it and fail the tests that come after.
    monkeypatch.setattr("dicomnode.log.configure", lambda *_settings: None)

    def invoke(*series: list[Dataset], flags: tuple[str, ...] = ()) -> Result:
        folder = tmp_path / "in"
        folder.mkdir()
        for number, ds in enumerate(one for of in series for one in of):
            ds.save_as(folder / f"{number}.dcm", enforce_file_format=True)
        (folder / "notes.txt").write_text("no image")
        arguments = ["process", str(folder), "--model", "m", "--models", str(tmp_path / "models")]
        return CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out"), "--device", "cpu", *flags])

    return invoke


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[..., Path]:
    def write(body: str, network: bytes, **named: Any) -> Path:
        return bundles.write(tmp_path / "models", "m", body, network, **named)

    return write


def test_segments_numbers_checks_and_files_are_told(run: Run, bundle: Any, tmp_path: Path) -> None:
    bundle(INPUT + REST + "[valid]\nminimum_slices = 4\n" + bundles.DENSE, bundles.threshold(0.2))
    done = run(images(classic.ct, "ct"))
    assert done.exit_code == 0, done.output
    for words in ("Dense", "256", "Volume", "minimum slices", "10 slices", "wrote", "seg.dcm", "the only series"):
        assert words in done.output
    assert int(dcmread(tmp_path / "out" / "seg.dcm").pixel_array.sum()) == 256
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["seg.dcm", "sr.dcm"]


def test_json_has_all_of_it(run: Run, bundle: Any, tmp_path: Path) -> None:
    bundle(INPUT + REST + "[valid]\nminimum_slices = 4\n" + bundles.DENSE, bundles.threshold(0.2))
    told = json.loads(run(images(classic.ct, "ct"), flags=("--json",)).stdout)
    assert told["analysed"] and told["segments"] == [{"number": 1, "label": "Dense", "voxels": 256}]
    volume = next(one for one in told["measurements"] if one["name"] == "Volume")
    assert volume == {"about": "Dense", "name": "Volume", "value": pytest.approx(256 * 16 / 1000), "unit": "cm3"}
    assert any(one["rule"] == "minimum_slices" and one["passed"] for one in told["checks"])
    assert told["written"] == [str(tmp_path / "out" / name) for name in ("seg.dcm", "sr.dcm")]
    assert {"read", "infer", "report"} <= set(told["seconds"]) and any("notes.txt" in text for text in told["remarks"])


TWO = INPUT + '[input.pet]\nModality = "PT"\n' + REST + bundles.DENSE


def test_the_series_of_several_inputs_are_chosen_by_the_bundle(run: Run, bundle: Any) -> None:
    bundle(TWO, bundles.threshold(0.2, channels=(1.0, 0.0)))
    done = run(images(classic.pet, "pet"), images(classic.ct, "ct"))
    assert done.exit_code == 0, done.output
    assert "feeds ct: the only series that matches" in done.output and "feeds pet" in done.output
    assert "256" in done.output


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_missing_input_is_said_without_a_traceback(run: Run, bundle: Any, flags: tuple[str, ...]) -> None:
    bundle(TWO, bundles.threshold(0.2, channels=(1.0, 0.0)))
    done = run(images(classic.ct, "ct"), flags=flags)
    assert done.exit_code == 1 and "Traceback" not in done.output
    if flags:
        told = json.loads(done.stdout)
        assert not told["analysed"] and "no series for input pet (needed Modality equals PT)" in told["reason"]
    else:
        assert "not analysed: " in done.output and "no series for input pet" in done.output


def test_a_failed_check_is_told_with_all_others(run: Run, bundle: Any) -> None:
    bundle(INPUT + REST + "[valid]\npixel_spacing_mm = [0.1, 0.5]\n" + bundles.DENSE, bundles.threshold(0.2))
    told = json.loads(run(images(classic.ct, "ct"), flags=("--json",)).stdout)
    failed = [one for one in told["checks"] if not one["passed"]]
    assert [one["rule"] for one in failed] == ["pixel_spacing_mm"] and "0.5 mm" in failed[0]["limit"]
    assert "pixel spacing" in told["reason"]


def test_files_of_two_studies_are_not_mixed(run: Run, bundle: Any) -> None:
    bundle(INPUT + REST + bundles.DENSE, bundles.threshold(0.2))
    other = images(classic.ct, "ct")
    for ds in other:
        ds.StudyInstanceUID = "2.25.99"
    done = run(images(classic.ct, "ct"), other)
    assert done.exit_code == 1 and "not analysed: 2 studies in these files" in done.output


def test_a_folder_that_cannot_be_written_to_is_said_before_anything_is_computed(
    run: Run, bundle: Any, tmp_path: Path
) -> None:
    bundle(INPUT + REST + bundles.DENSE, bundles.threshold(0.2))
    (tmp_path / "out").write_text("a file")
    done = run(images(classic.ct, "ct"))
    assert done.exit_code == 1 and "File exists, needed a folder" in done.output


def test_a_network_that_is_not_the_declared_one_is_said_in_words(run: Run, bundle: Any) -> None:
    folder = bundle(INPUT + REST + bundles.DENSE, bundles.threshold(0.2))
    (folder / "model.onnx").write_bytes(b"other")
    done = run(images(classic.ct, "ct"))
    assert done.exit_code == 1 and "not analysed" in done.output and "SHA-256" in done.output


def test_boxes_are_told_with_score_and_corners(run: Run, bundle: Any) -> None:
    onnx = pytest.importorskip("onnx")
    make = onnx.helper.make_node
    network = bundles.serialized(
        [
            make("GlobalAveragePool", ["image"], ["mean"]),
            make("Flatten", ["mean"], ["flat"]),
            make("Mul", ["flat", "zero"], ["nothing"]),
            make("Add", ["corners", "nothing"], ["boxes"]),
            make("Add", ["logit", "nothing"], ["scores"]),
        ],
        {"image": [1, 1, 10, 16, 16]},
        {"boxes": ["n", 6], "scores": ["n", 1]},
        {"zero": ([1], [0.0]), "corners": ([1, 6], [2.5, 1.5, 3.5, 6.5, 9.5, 11.5]), "logit": ([1, 1], [3.0])},
    )
    bundle(INPUT + REST.replace("softmax", "sigmoid") + bundles.DENSE, network, task="detect")
    told = json.loads(run(images(classic.ct, "ct"), flags=("--json",)).stdout)
    (box,) = told["boxes"]
    assert box["label"] == "Dense" and box["score"] == pytest.approx(1 / (1 + np.exp(-3.0)), abs=1e-4)
    assert box["low"] == pytest.approx([2.5, 1.5, 3.5]) and box["high"] == pytest.approx([6.5, 9.5, 11.5])


def test_classes_are_told_with_their_probabilities(run: Run, bundle: Any) -> None:
    onnx = pytest.importorskip("onnx")
    make = onnx.helper.make_node
    network = bundles.serialized(
        [
            make("GlobalAveragePool", ["image"], ["mean"]),
            make("Flatten", ["mean"], ["flat"]),
            make("Gemm", ["flat", "w", "b"], ["logits"]),
        ],
        {"image": ["batch", 1, 10, 16, 16]},
        {"logits": ["batch", 2]},
        {"w": ([1, 2], [0.0, 0.0]), "b": ([2], [0.0, float(np.log(3.0))])},
    )
    body = REST.replace('"softmax"', '"softmax"\nquestion = { value = "121071", scheme = "DCM", meaning = "Finding" }')
    for number, (value, meaning) in enumerate((("2667000", "Absent"), ("52101004", "Present"))):
        body += f'[[class]]\nnumber = {number}\nlabel = "{meaning}"\n'
        body += f'code = {{ value = "{value}", scheme = "SCT", meaning = "{meaning}" }}\n'
    bundle(INPUT + body, network, task="classify")
    series = images(classic.ct, "ct")
    done = run(series)
    assert done.exit_code == 0, done.output
    assert "→ Present" in done.output and "0.750" in done.output and "0.250" in done.output


def test_results_of_an_earlier_run_give_way_to_what_is_found_now(run: Run, bundle: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    bundle(INPUT + REST + bundles.DENSE, bundles.threshold(0.2))
    assert run(images(classic.ct, "ct"), flags=("--radiomics",)).exit_code == 0
    assert {path.name for path in out.iterdir()} == {"seg.dcm", "sr.dcm", "radiomics.dcm"}
    (out / "mine.dcm").write_bytes(b"somebody's")
    shutil.rmtree(tmp_path / "in")
    assert run(images(classic.ct, "ct", value=0)).exit_code == 1, "an image of one value is refused"
    assert {path.name for path in out.iterdir()} == {"refusal.dcm", "mine.dcm"}
    shutil.rmtree(tmp_path / "in")
    assert run(images(classic.ct, "ct", value=150)).exit_code == 0
    assert {path.name for path in out.iterdir()} == {"sr.dcm", "mine.dcm"}, "nothing is dense enough for a SEG"


def test_a_file_of_another_origin_is_not_replaced(run: Run, bundle: Any, tmp_path: Path) -> None:
    bundle(INPUT + REST + bundles.DENSE, bundles.threshold(0.2))
    (tmp_path / "out").mkdir()
    images(classic.ct, "other")[0].save_as(tmp_path / "out" / "seg.dcm", enforce_file_format=True)
    before = (tmp_path / "out" / "seg.dcm").read_bytes()
    done = run(images(classic.ct, "ct"))
    assert done.exit_code == 1 and "seg.dcm: no result of `dicomnode process`" in done.output
    assert (tmp_path / "out" / "seg.dcm").read_bytes() == before


def test_a_write_that_fails_leaves_the_earlier_results_as_they_were(
    run: Run, bundle: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle(INPUT + REST + bundles.DENSE, bundles.threshold(0.2))
    assert run(images(classic.ct, "ct")).exit_code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    shutil.rmtree(tmp_path / "in")
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == "sr.dcm":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    done = run(images(classic.ct, "ct"))
    assert done.exit_code == 1 and "No space left on device" in done.output
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_refusal_is_written_as_a_report_for_the_reader(run: Run, bundle: Any, tmp_path: Path) -> None:
    bundle(TWO, bundles.threshold(0.2, channels=(1.0, 0.0)))
    told = json.loads(run(images(classic.ct, "ct"), flags=("--json",)).stdout)
    assert told["written"] == [str(tmp_path / "out" / "refusal.dcm")]
    assert told["remarks"][0] == "1 file was left out, notes.txt: no DICOM file"
    report = dcmread(tmp_path / "out" / "refusal.dcm")
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.22" and "no series for input pet" in report.to_json()


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_faulty_bundle_is_told_fault_by_fault(run: Run, bundle: Any, flags: tuple[str, ...]) -> None:
    bundle(INPUT + REST.replace("overlap = 0.0", "overlap = 7.0") + bundles.DENSE, b"")
    done = run(images(classic.ct, "ct"), flags=flags)
    if not flags:
        assert isinstance(done.exception, ConfigError), "which `main` tells with exit status 2"
        return
    told = json.loads(done.stdout)
    assert done.exit_code == 2 and told["analysed"] is False
    assert [fault["key"] for fault in told["faults"]] == ["m/model.toml: tile.overlap"]
    assert {"value", "remedy"} < set(told["faults"][0])


def test_an_analysis_that_does_not_fit_into_memory_is_refused_in_a_sentence(
    run: Run, bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle(INPUT + REST + bundles.DENSE, bundles.threshold(0.2))

    def huge(*_args: Any, **_named: Any) -> Any:
        return np.empty((1 << 40, 1 << 10), np.float64)

    monkeypatch.setattr("dicomnode.flow.process.analyse", huge)
    told = json.loads(run(images(classic.ct, "ct"), flags=("--json",)).stdout)
    assert told["reason"] == NO_MEMORY and "Unable to allocate" not in str(told)
    assert [Path(path).name for path in told["written"]] == ["refusal.dcm"]


def test_checks_are_whole_sentences_on_a_narrow_terminal(
    run: Run, bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomnode.cli.offline.out", Console(width=80))
    bundle(INPUT + REST + "[valid]\nminimum_slices = 4\n" + bundles.DENSE, bundles.threshold(0.2))
    lines = run(images(classic.ct, "ct")).output.splitlines()
    assert "passed minimum slices: 10 slices, needed 4 or more" in [line.strip() for line in lines]


def test_json_faults_of_the_configuration_are_json_for_every_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("check", "status"):
        path = tmp_path / "none.toml"
        monkeypatch.setattr("sys.argv", ["dicomnode", verb, "--json", "--config", str(path)])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 2
        (fault,) = json.loads(capsys.readouterr().out)["faults"]
        assert fault["value"] == str(path) and "no such file" in fault["remedy"]


@pytest.mark.parametrize(("frame", "words"), [("g", "in another"), (None, "without a")])
def test_a_series_that_is_not_analysed_says_where_it_lies(run: Run, bundle: Any, frame: str | None, words: str) -> None:
    bundle(INPUT + REST + bundles.DENSE, bundles.threshold(0.2))
    other = images(classic.ct, "zz", slices=8)
    for ds in other:
        ds.FrameOfReferenceUID = "2.25.77"
        if frame is None:
            del ds.FrameOfReferenceUID
    told = json.loads(run(images(classic.ct, "ct"), other, flags=("--json",)).stdout)
    uid = other[0].SeriesInstanceUID
    assert f"series {uid}: not analysed, {words} frame of reference" in told["remarks"]
