"""What model.toml says of measuring: parts, radiomics by pyradiomics' own names, harmonisation, drawn contours."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from pathlib import Path

import pytest

from dicomnode.domain.errors import ConfigError
from dicomnode.domain.measuring import Harmonisation, MeasureSpec, RadiomicsSpec
from dicomnode.domain.model import ModelSpec, Subject, Task
from dicomnode.infer.bundle.harmonisation import content_of
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.bundle.radiomics import FEATURES, PREFIXES, ImageTypesTable, SettingsTable, feature_parts
from tests.unit.infer.small import CODE, bundle

DRAWN = """
[model]
name = "drawn"
version = "1"
title = "Drawn"
status = "demo"
task = "measure"
manufacturer = "tests"
licence = "MIT"
[input.image]
Modality = "CT"
[input.contours]
Modality = { any_of = ["SEG", "RTSTRUCT"] }
[contours]
input = "contours"
"""


def segmenting(folder: Path, rest: str = "") -> ModelSpec:
    return bundle(folder, "segment", b"0", labels=2, rest=rest)


def drawn(folder: Path, text: str = DRAWN) -> ModelSpec:
    place = folder / "drawn"
    place.mkdir()
    (place / "model.toml").write_text(text)
    return load_bundle(place)


def test_a_bundle_that_says_nothing_measures_by_the_defaults(tmp_path: Path) -> None:
    spec = segmenting(tmp_path)
    assert (spec.measure, spec.radiomics) == (MeasureSpec(), RadiomicsSpec())
    assert (spec.contours, spec.signature, spec.images) == ("", None, spec.inputs)
    assert {one.subject for one in spec.segments} == {Subject.STRUCTURE}


def test_what_is_measured_reaches_the_model(tmp_path: Path) -> None:
    part = f'[[measure.part]]\nname = "solid"\nlabel = "Solid part"\ntype = {CODE}\nrange = [-300.0, 300.0]\n'
    spec = segmenting(
        tmp_path,
        '[measure]\nlungs = [1, 2]\ncriteria = ["recist", "volume"]\nvolume_response = [-50, 40.0]\n'
        f"targets = [1, 3]\n{part}",
    )
    assert spec.measure.lungs == (1, 2)
    assert spec.measure.criteria == ("recist", "volume")
    assert (spec.measure.volume_response, spec.measure.targets) == ((-50.0, 40.0), (1, 3))
    (solid,) = spec.measure.parts
    assert (solid.name, solid.range, solid.type.value, solid.minimum_volume_ml) == (
        "solid",
        (-300.0, 300.0),
        "4147007",
        0,
    )


def test_radiomics_settings_reach_the_model_by_the_names_of_pyradiomics(tmp_path: Path) -> None:
    spec = segmenting(
        tmp_path,
        """
[radiomics]
classes = ["firstorder", "glcm"]
most_voxels = 1000
coarsen = true
most_anisotropy = 3.5
perturb = true
[radiomics.image_types]
Original = {}
LoG = { sigma = [1.0, 3.0] }
Wavelet = { wavelet = "coif1", binWidth = 10 }
[radiomics.settings]
binCount = 32
resampledPixelSpacing = [1, 1.0, 1.0]
interpolator = "sitkBSpline"
[radiomics.stability]
original_firstorder_Mean = "ICC 0.95 (0.91 to 0.97), 32 test-retest pairs, Siemens Force"
""",
    ).radiomics
    assert spec.image_types == {
        "Original": {},
        "Wavelet": {"wavelet": "coif1", "binWidth": 10.0},
        "LoG": {"sigma": [1.0, 3.0]},
    }
    assert spec.settings == {
        "binCount": 32,
        "resampledPixelSpacing": [1.0, 1.0, 1.0],
        "interpolator": "sitkBSpline",
    }
    assert spec.most_anisotropy == 3.5
    assert (spec.classes, spec.most_voxels, spec.coarsen, spec.perturb) == (("firstorder", "glcm"), 1000, True, True)
    assert spec.stability["original_firstorder_Mean"].startswith("ICC 0.95")


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("[radiomics.settings]\nbinWidht = 5", r"radiomics\.settings\.binWidht.*did you mean binWidth"),
        ("[radiomics.settings]\nlabel = 2", r"radiomics\.settings\.label"),
        ("[radiomics.settings]\nbinWidth = 5\nbinCount = 5", "binWidth stands beside binCount"),
        ("[radiomics.image_types]\nWavelets = {}", r"image_types\.Wavelets.*did you mean Wavelet"),
        ("[radiomics.image_types]\nLoG = {}", "LoG without sigma"),
        ("[radiomics]\nimage_types = {}", "no image type"),
        ("[radiomics]\noutliers_sigma = 3.0", "outliers_sigma without ibsi"),
        ('[radiomics]\nclasses = ["firstordre"]', "did you mean firstorder"),
        ('[radiomics]\nclasses = ["x"]', "write one of firstorder, glcm"),
        ('[radiomics.stability]\noriginal_glcm_Contras = "x"', "did you mean original_glcm_Contrast"),
        ('[radiomics.stability]\nsquare_glcm_Contrast = "x"', "without the image type Square"),
        ("[measure]\nlungs = [3]", r"measure\.lungs names segments \[3\], needed some of \[1, 2\]"),
        ("[measure]\ntargets = [6, 5]", "with no more per organ than in all"),
        ('[measure]\ncriteria = ["recist", "recist"]', "names one twice"),
        ('[measure]\ncriteria = ["irecist"]', "'recist'"),
        ("[measure]\nvolume_response = [10.0, 20.0]", "less than 0"),
        ('[contours]\ninput = "ct"', r"task segment with \[contours\], needed task measure"),
        ('[harmonisation]\nfile = "../h.json"\nsha256 = "0"', "pattern"),
    ],
)
def test_a_fault_says_what_is_needed(tmp_path: Path, rest: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        segmenting(tmp_path, rest)


def test_a_demo_model_gives_no_response_category(tmp_path: Path) -> None:
    place = segmenting(tmp_path, '[measure]\ncriteria = ["recist"]\n').folder / "model.toml"
    place.write_text(place.read_text().replace('status = "research"', 'status = "demo"'))
    with pytest.raises(ConfigError, match=r"measure\.criteria beside status demo, needed none"):
        load_bundle(place.parent)


def test_the_subject_of_a_segment_is_read(tmp_path: Path) -> None:
    spec = segmenting(tmp_path)
    path = spec.folder / "model.toml"
    path.write_text(path.read_text().replace('label = "Label 2"', 'label = "Label 2"\nsubject = "lymph_node"'))
    assert [one.subject for one in load_bundle(spec.folder).segments] == [Subject.STRUCTURE, Subject.LYMPH_NODE]


def test_a_model_that_measures_what_is_drawn_needs_no_network(tmp_path: Path) -> None:
    spec = drawn(tmp_path)
    assert (spec.task, spec.weights, spec.contours, spec.segments) == (Task.MEASURE, (), "contours", ())
    assert [one.name for one in spec.images] == ["image"]
    assert spec.input.name == "image"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('licence = "MIT"', 'licence = "MIT"\nonnx = "a.onnx"\nsha256 = "' + "0" * 64 + '"', "no network runs"),
        ('licence = "MIT"', 'licence = "MIT"\nfeatures = ["PatientAge"]', "task measure with features, needed none"),
        ("[contours]", "[tile]\nshape = [1, 1, 1]\noverlap = 0.0\nbatch = 1\n[contours]", "task measure with tile"),
        ("[contours]", '[output]\nactivation = "none"\n[contours]', "task measure with output, needed none"),
        ("[contours]", '[network]\ninput = "x"\n[contours]', "task measure with network, needed none"),
        ("[contours]", '[[prepare]]\nstep = "clip"\nrange = [0.0, 1.0]\n[contours]', "task measure with prepare"),
        ('[contours]\ninput = "contours"\n', "", r"without \[contours\]"),
        ('input = "contours"', 'input = "image"', "needed an image series, then the contours"),
        ("[input.image]", '[input.pet]\nModality = "PT"\n[input.image]', "needed an image series, then the contours"),
    ],
)
def test_a_model_that_measures_what_is_drawn_has_nothing_else(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in DRAWN
    with pytest.raises(ConfigError, match=said):
        drawn(tmp_path, DRAWN.replace(old, new, 1))


HARMONISATION = Harmonisation(
    batch_by=("ManufacturerModelName", "ConvolutionKernel"),
    reference="A | B30f",
    batches={"B | B70f": {"original_firstorder_Mean": (3.0, 0.5)}},
    kept=("original_firstorder_Mean",),
    source="a phantom, 20 scans each",
)


def harmonised(folder: Path, content: bytes, sha256: str = "") -> ModelSpec:
    (folder / "small").mkdir(parents=True, exist_ok=True)
    (folder / "small" / "harmonisation.json").write_bytes(content)
    sha256 = sha256 or hashlib.sha256(content).hexdigest()
    return segmenting(folder, f'[harmonisation]\nfile = "harmonisation.json"\nsha256 = "{sha256}"\n')


def test_the_parameters_of_harmonisation_come_back_from_their_file(tmp_path: Path) -> None:
    assert harmonised(tmp_path, content_of(HARMONISATION)).radiomics.harmonisation == HARMONISATION


def test_another_harmonisation_is_another_recipe(tmp_path: Path) -> None:
    one = harmonised(tmp_path, content_of(HARMONISATION))
    assert one.recipe != segmenting(tmp_path).recipe
    assert one.recipe != harmonised(tmp_path, content_of(HARMONISATION) + b"\n").recipe


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"0.5", b"0.0", r"harmonisation\.file .*batches.*greater than 0"),
        (b"harmonisation 1", b"harmonisation 2", "is no harmonisation: form"),
        (b"original_firstorder_Mean", b"original_firstorder_Men", "pyradiomics has no feature"),
        (b'"B | B70f": {\n   "original_firstorder_Mean"', b'"B": {\n   "original_firstorder_Median"', "batch B lacks"),
        (b"B | B70f", b"A | B30f", "the reference batch A | B30f is changed".replace("|", r"\|")),
    ],
)
def test_a_file_that_cannot_be_right_is_a_fault(tmp_path: Path, old: bytes, new: bytes, said: str) -> None:
    content = content_of(HARMONISATION)
    assert old in content
    with pytest.raises(ConfigError, match=said):
        harmonised(tmp_path, content.replace(old, new))


def test_a_harmonisation_that_was_exchanged_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has SHA-256 .*, needed 000000000000… as model.toml says"):
        harmonised(tmp_path, content_of(HARMONISATION), "0" * 64)
    with pytest.raises(ConfigError, match="cannot be read"):
        segmenting(tmp_path / "else", f'[harmonisation]\nfile = "h.json"\nsha256 = "{"0" * 64}"\n')


def test_the_names_are_those_of_pyradiomics() -> None:
    radiomics = pytest.importorskip("radiomics")
    classes = radiomics.getFeatureClasses()
    for kind, names in FEATURES.items():
        assert {name for name, old in classes[kind].getFeatureNames().items() if not old} == {*names}
    assert {*classes} - {*FEATURES} == {"shape2D"}
    images = {name[3:-5] for name in dir(radiomics.imageoperations) if re.fullmatch("get.+Image", name)}
    assert {*ImageTypesTable.model_fields} == images == {*PREFIXES}


def test_the_settings_are_those_of_pyradiomics() -> None:
    pytest.importorskip("radiomics")
    schema = (files("radiomics") / "schemas" / "paramSchema.yaml").read_text()
    known = {*re.findall(r"^      (\w+):$", schema.split("  voxelSetting:")[0], re.MULTILINE)}
    # What the node itself sees to.
    own = {"label", "label_channel", "additionalInfo", "geometryTolerance", "correctMask", "preCrop"}
    assert {*SettingsTable.model_fields} == known - own


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("original_shape_Sphericity", ("Original", "shape")),
        ("wavelet-HHL_glcm_Contrast", ("Wavelet", "glcm")),
        ("wavelet2-LLL_glcm_Contrast", ("Wavelet", "glcm")),
        ("log-sigma-1-5-mm-3D_firstorder_Mean", ("LoG", "firstorder")),
        ("log-sigma-2-0-mm-3D_firstorder_Mean", ("LoG", "firstorder")),
        ("squareroot_ngtdm_Busyness", ("SquareRoot", "ngtdm")),
        ("lbp-2D_firstorder_Mean", ("LBP2D", "firstorder")),
        ("lbp-3D-m1_firstorder_Mean", ("LBP3D", "firstorder")),
        ("lbp-3D-k_firstorder_Mean", ("LBP3D", "firstorder")),
    ],
)
def test_a_feature_is_known_by_its_full_name(name: str, parts: tuple[str, str]) -> None:
    assert feature_parts(name) == parts
