"""Radiomics of the node against the consensus of IBSI, and the document that shows both.

    .venv/bin/python bench/ibsi.py --data ~/.cache/dicomnode-data    # writes docs/ibsi.md

Data: the digital and the CT phantom of IBSI chapter 1 with its reference values, the sarcoma of its validation with the
values that its teams gave, and LUNG1-002 with values of pyradiomics 2.2.0.
"""

from __future__ import annotations

import argparse
import ast
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK
from highdicom import Volume
from numpy.typing import NDArray

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Segmentation
from dicomnode.domain.measuring import RadiomicsSpec
from dicomnode.domain.model import Segment
from dicomnode.infer.contours.read import read_contours
from dicomnode.infer.read.volume import read_series
from dicomnode.measure import radiomics
from dicomnode.measure.ibsi import FEATURES

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "ibsi.md"
TEXTURES = ("glcm", "glrlm", "glszm", "gldm", "ngtdm")

#: Feature of pyradiomics → tag of IBSI's reference values, which for textures goes on with dimension and aggregation.
TAGS = {
    f"{kind}_{feature}": f"{prefix}_{tag}" if not tag.startswith("ih_") else tag
    for kind, prefix, pairs in (
        (
            "shape",
            "morph",
            "MeshVolume volume VoxelVolume vol_approx SurfaceArea area_mesh SurfaceVolumeRatio av Sphericity "
            "sphericity Maximum3DDiameter diam MajorAxisLength pca_maj_axis MinorAxisLength pca_min_axis "
            "LeastAxisLength pca_least_axis Elongation pca_elongation Flatness pca_flatness",
        ),
        (
            "firstorder",
            "stat",
            "Mean mean Variance var Skewness skew Kurtosis kurt Median median Minimum min 10Percentile p10 "
            "90Percentile p90 Maximum max InterquartileRange iqr Range range MeanAbsoluteDeviation mad "
            "RobustMeanAbsoluteDeviation rmad Energy energy RootMeanSquared rms Entropy ih_entropy "
            "Uniformity ih_uniformity",
        ),
        (
            "glcm",
            "cm",
            "MaximumProbability joint_max JointAverage joint_avg SumSquares joint_var JointEntropy joint_entr "
            "DifferenceAverage diff_avg DifferenceVariance diff_var DifferenceEntropy diff_entr SumAverage sum_avg "
            "SumEntropy sum_entr JointEnergy energy Contrast contrast Id inv_diff Idn inv_diff_norm Idm inv_diff_mom "
            "Idmn inv_diff_mom_norm InverseVariance inv_var Correlation corr Autocorrelation auto_corr ClusterTendency "
            "clust_tend ClusterShade clust_shade ClusterProminence clust_prom Imc1 info_corr1 Imc2 info_corr2",
        ),
        (
            "glrlm",
            "rlm",
            "ShortRunEmphasis sre LongRunEmphasis lre LowGrayLevelRunEmphasis lgre HighGrayLevelRunEmphasis hgre "
            "ShortRunLowGrayLevelEmphasis srlge ShortRunHighGrayLevelEmphasis srhge LongRunLowGrayLevelEmphasis lrlge "
            "LongRunHighGrayLevelEmphasis lrhge GrayLevelNonUniformity glnu GrayLevelNonUniformityNormalized glnu_norm "
            "RunLengthNonUniformity rlnu RunLengthNonUniformityNormalized rlnu_norm RunPercentage r_perc "
            "GrayLevelVariance gl_var RunVariance rl_var RunEntropy rl_entr",
        ),
        (
            "glszm",
            "szm",
            "SmallAreaEmphasis sze LargeAreaEmphasis lze LowGrayLevelZoneEmphasis lgze HighGrayLevelZoneEmphasis hgze "
            "SmallAreaLowGrayLevelEmphasis szlge SmallAreaHighGrayLevelEmphasis szhge LargeAreaLowGrayLevelEmphasis "
            "lzlge LargeAreaHighGrayLevelEmphasis lzhge GrayLevelNonUniformity glnu GrayLevelNonUniformityNormalized "
            "glnu_norm SizeZoneNonUniformity zsnu SizeZoneNonUniformityNormalized zsnu_norm ZonePercentage z_perc "
            "GrayLevelVariance gl_var ZoneVariance zs_var ZoneEntropy zs_entr",
        ),
        (
            "gldm",
            "ngl",
            "SmallDependenceEmphasis lde LargeDependenceEmphasis hde LowGrayLevelEmphasis lgce HighGrayLevelEmphasis "
            "hgce SmallDependenceLowGrayLevelEmphasis ldlge SmallDependenceHighGrayLevelEmphasis ldhge "
            "LargeDependenceLowGrayLevelEmphasis hdlge LargeDependenceHighGrayLevelEmphasis hdhge "
            "GrayLevelNonUniformity glnu DependenceNonUniformity dcnu DependenceNonUniformityNormalized dcnu_norm "
            "GrayLevelVariance gl_var DependenceVariance dc_var DependenceEntropy dc_entr",
        ),
        (
            "ngtdm",
            "ngt",
            "Coarseness coarseness Contrast contrast Busyness busyness Complexity complexity Strength strength",
        ),
    )
    for feature, tag in zip(pairs.split()[::2], pairs.split()[1::2], strict=True)
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One way of processing of IBSI as settings of the node.

    Attributes
    ----------
    dimension
        Of textures, as the tags of the reference values have it.
    """

    name: str
    text: str
    dimension: str
    settings: Mapping[str, Any] = field(repr=False)
    outliers_sigma: float | None = None

    def spec(self, *, ibsi: bool, merged: bool) -> RadiomicsSpec:
        """With GLCM and GLRLM of all directions, or of merged directions alone."""
        return RadiomicsSpec(
            settings={**self.settings, **({"weightingNorm": "no_weighting"} if merged else {})},
            classes=("glcm", "glrlm") if merged else (),
            ibsi=ibsi,
            outliers_sigma=self.outliers_sigma if ibsi else None,
        )


_CUBE = {"resampledPixelSpacing": [2, 2, 2]}
CONFIGURATIONS = (
    Configuration(name="dig", text="digital phantom, 3D, bins of 1", dimension="3D", settings={"binWidth": 1}),
    Configuration(
        name="dig",
        text="digital phantom, 2.5D, bins of 1",
        dimension="2_5D",
        settings={"binWidth": 1, "force2D": True},
    ),
    Configuration(
        name="A",
        text="CT phantom, 2.5D, [-500, 400] HU, bins of 25",
        dimension="2_5D",
        settings={"binWidth": 25, "force2D": True, "resegmentRange": [-500, 400]},
    ),
    Configuration(
        name="B",
        text="CT phantom, 2.5D, 2 × 2 mm in plane linear, [-500, 400] HU, 32 bins",
        dimension="2_5D",
        settings={
            "binCount": 32,
            "force2D": True,
            "resegmentRange": [-500, 400],
            "resampledPixelSpacing": [2, 2, 0],
            "interpolator": "sitkLinear",
        },
    ),
    Configuration(
        name="C",
        text="CT phantom, 3D, 2 mm linear, [-1000, 400] HU, bins of 25",
        dimension="3D",
        settings={"binWidth": 25, "resegmentRange": [-1000, 400], "interpolator": "sitkLinear", **_CUBE},
    ),
    Configuration(
        name="D",
        text="CT phantom, 3D, 2 mm linear, 3 σ, 32 bins",
        dimension="3D",
        settings={
            "binCount": 32,
            "resegmentRange": [-3, 3],
            "resegmentMode": "sigma",
            "interpolator": "sitkLinear",
            **_CUBE,
        },
    ),
    Configuration(
        name="E",
        text="CT phantom, 3D, 2 mm cubic, [-1000, 400] HU and 3 σ, 32 bins",
        dimension="3D",
        settings={"binCount": 32, "resegmentRange": [-1000, 400], "interpolator": "sitkBSpline", **_CUBE},
        outliers_sigma=3.0,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One feature of one configuration: IBSI's number, the node's, and that without `ibsi`."""

    feature: str
    aggregation: str
    consensus: float
    tolerance: float
    ours: float
    plain: float

    @property
    def match(self) -> bool:
        """Whether the node's number is IBSI's."""
        return agrees(self.ours, self.consensus, self.tolerance)

    @property
    def plain_match(self) -> bool:
        """Whether pyradiomics' number is IBSI's."""
        return agrees(self.plain, self.consensus, self.tolerance)


def agrees(value: float, consensus: float, tolerance: float) -> bool:
    """IBSI's rule: within the tolerance, and without one equal to the three digits that the consensus has."""
    if tolerance:
        return abs(value - consensus) <= tolerance * (1 + 1e-9)
    return float(f"{value:.3g}") == float(f"{consensus:.3g}")


def phantom(array: NDArray[Any], mask: NDArray[Any], spacing_mm: Sequence[float]) -> tuple[Volume, Segmentation]:
    """An image with one segment, arrays in (slice, row, column), spacing in their order."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *spacing_mm, 1.0
    made = [
        Volume(array=one, affine=affine, coordinate_system="PATIENT", frame_of_reference_uid="1.2.3")
        for one in (array, mask.astype(np.uint8))
    ]
    return made[0], Segmentation(volume=made[1], segments=(_segment(1, "region"),))


def of_nifti(folder: Path, margin: int = 0) -> tuple[Volume, Segmentation]:
    """A phantom of IBSI; `margin` voxels around it let the node see that its region does not go on beyond the image."""
    images: list[Any] = [
        SimpleITK.ReadImage(str(folder / "nifti" / name)) for name in ("image/phantom.nii.gz", "mask/mask.nii.gz")
    ]
    arrays = [np.pad(SimpleITK.GetArrayFromImage(image), margin) for image in images]
    return phantom(arrays[0], arrays[1], [round(length, 6) for length in images[0].GetSpacing()[::-1]])


def features(
    volume: Volume, segmentation: Segmentation, spec: RadiomicsSpec, modality: str = "CT", unit: str = ""
) -> dict[str, float]:
    """What the node says of segment 1: as coded in its report, else as pyradiomics calls it."""
    (found,) = radiomics.measure(volume, segmentation, (segmentation.segments[0].number,), modality, unit, spec)
    coded = {row.name.value: row.value for row in found.measurements}
    plain = {name.removeprefix("original_"): value for name, value in found.values.items()}
    return {name: coded.get(FEATURES.get(name, ("",))[0], value) for name, value in plain.items()}


def compared(
    configuration: Configuration,
    volume: Volume,
    segmentation: Segmentation,
    consensus: Mapping[str, tuple[float, float]],
) -> Iterator[Row]:
    """Every feature that both know; GLCM and GLRLM averaged over directions and merged.

    Parameters
    ----------
    consensus
        Tag → number and tolerance.
    """
    for merged in (False, True):
        ours, plain = (
            features(volume, segmentation, configuration.spec(ibsi=ibsi, merged=merged)) for ibsi in (True, False)
        )
        for feature, value in ours.items():
            directed = feature.startswith(("glcm_", "glrlm_"))
            aggregation = ("merged" if merged else "averaged") if directed else ""
            tag = TAGS.get(feature, "")
            if feature.startswith(TEXTURES):
                tag += f"_{configuration.dimension}" + {"merged": "_comb", "averaged": "_avg"}.get(aggregation, "")
            if tag in consensus and (directed or not merged):
                number, tolerance = consensus[tag]
                yield Row(
                    feature=feature,
                    aggregation=aggregation,
                    consensus=number,
                    tolerance=tolerance,
                    ours=value,
                    plain=plain[feature],
                )


def reference_values(data: Path) -> dict[str, dict[str, tuple[float, float]]]:
    """Configuration → tag → consensus and tolerance."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    with (data / "reference_values" / "ibsi1_reference_values_all_configs.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["reference_value"]:
                found.setdefault(row["config"], {})[row["tag"]] = float(row["reference_value"]), float(row["tolerance"])
    return found


def chapter_1(data: Path, only: Sequence[str] = ()) -> Iterator[tuple[Configuration, list[Row]]]:
    """The configurations of IBSI chapter 1."""
    consensus = reference_values(data)
    for configuration in CONFIGURATIONS:
        if only and configuration.name not in only:
            continue
        digital = configuration.name == "dig"
        folder = data / ("ibsi1_digital_phantom" if digital else "ibsi1_ct_phantom")
        inputs = of_nifti(folder, margin=1 if digital else 0)
        yield configuration, list(compared(configuration, *inputs, consensus[configuration.name]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """A row against the median of the largest group of teams that agree within 0.1 %, which is the tolerance.

    Attributes
    ----------
    level
        strong (five teams and more), moderate (three or four), weak.
    """

    row: Row
    level: str


#: How the teams processed the sarcoma (README of the reference values).
SARCOMA = {
    "CT": Configuration(
        name="CT",
        text="1 mm cubic, [-200, 200] HU, bins of 10",
        dimension="3D",
        settings={
            "resampledPixelSpacing": [1, 1, 1],
            "interpolator": "sitkBSpline",
            "resegmentRange": [-200, 200],
            "binWidth": 10,
        },
    ),
    "PET": Configuration(
        name="PET",
        text="3 mm cubic, from SUV 0 on, bins of 0.25",
        dimension="3D",
        settings={
            "resampledPixelSpacing": [3, 3, 3],
            "interpolator": "sitkBSpline",
            "resegmentRange": [0],
            "binWidth": 0.25,
        },
    ),
    "MR_T1": Configuration(
        name="MR_T1",
        text="1 mm cubic, from 0 on, bins of 10",
        dimension="3D",
        settings={
            "resampledPixelSpacing": [1, 1, 1],
            "interpolator": "sitkBSpline",
            "resegmentRange": [0],
            "binWidth": 10,
        },
    ),
}
PATIENTS = ("STS_002", "STS_005", "STS_010")

#: Agreement of the teams by which the consensus was formed.
_WITHIN = 1e-3


def of_dicom(images: Sequence[Path], contours: Path, label: str) -> tuple[Volume, Segmentation, str]:
    """A series, the segment of that label in a structure set, and the unit of the intensities."""
    source = read_series(list(images))
    for layer in read_contours([contours], source).segmentation.layers:
        for segment in layer.segments:
            if segment.label == label:
                mask = layer.volume.with_array((layer.volume.array == segment.number).astype(np.uint8))
                return source.volume, Segmentation(volume=mask, segments=(_segment(1, label),)), source.unit
    raise ValueError(f"{contours.name} has no {label}")


def sarcoma(
    data: Path, patients: Sequence[str] = PATIENTS, modalities: Sequence[str] = tuple(SARCOMA)
) -> Iterator[tuple[str, str, list[Agreed]]]:
    """The sarcoma of IBSI's validation against its teams, GLCM and GLRLM merged."""
    consensus: dict[tuple[str, str], dict[str, Mapping[str, str]]] = {}
    with (data / "reference_values" / "ibsi1_sts_validation_consensus_DEV.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            consensus.setdefault((line["patient"], line["modality"]), {})[line["tag"]] = line
    for patient in patients:
        for modality in modalities:
            folder = data / "sts_ibsi_validation" / patient / "dicom" / patient / modality
            volume, segmentation, unit = of_dicom(
                sorted((folder / "image").iterdir()), folder / "mask" / "RS.dcm", f"GTV_Mass_{modality}"
            )
            told = {"CT": "CT", "PET": "PT", "MR_T1": "MR"}[modality]
            spec = RadiomicsSpec(settings={**SARCOMA[modality].settings, "weightingNorm": "no_weighting"}, ibsi=True)
            found = features(volume, segmentation, spec, told, unit)
            yield patient, modality, list(_agreed(found, consensus[patient, modality]))


def _agreed(found: Mapping[str, float], consensus: Mapping[str, Mapping[str, str]]) -> Iterator[Agreed]:
    for feature, value in found.items():
        line = consensus.get(TAGS.get(feature, "") + _ENDS.get(feature.partition("_")[0], ""))
        if line is None:
            continue
        number = float(line["consensus_value"])
        row = Row(
            feature=feature,
            aggregation="",
            consensus=number,
            tolerance=_WITHIN * abs(number),
            ours=value,
            plain=float("nan"),
        )
        yield Agreed(row=row, level=line["level"].partition("(")[0])


_ENDS = {"glcm": "_3D_comb", "glrlm": "_3D_comb", "glszm": "_3D", "gldm": "_3D", "ngtdm": "_3D"}


def lung1(data: Path) -> list[Row]:
    """The tumour of LUNG1-002 against the values of pyradiomics 2.2.0 and its settings."""
    with (data / "reference_values" / "lung1_pyradiomics_2.2.0_DEV.csv").open(newline="") as file:
        given = {row[0]: row[1] for row in csv.reader(file)}
    settings = ast.literal_eval(given["diagnostics_Configuration_Settings"])
    folder = data / "lung1" / "LUNG1-002_20180526_CT"
    headers = {
        path: pydicom.dcmread(path, specific_tags=["Modality"], stop_before_pixels=True)
        for path in folder.glob("*.dcm")
    }
    images = sorted(path for path, header in headers.items() if header.Modality == "CT")
    volume, segmentation, unit = of_dicom(images, folder / "1.dcm", "GTV-1")
    spec = RadiomicsSpec(settings=settings)
    (found,) = radiomics.measure(volume, segmentation, (1,), "CT", unit, spec)
    return [
        Row(
            feature=name,
            aggregation="",
            consensus=float(given[name]),
            tolerance=1e-3 * abs(float(given[name])),
            ours=value,
            plain=value,
        )
        for name, value in found.values.items()
        if name in given
    ]


def _segment(number: int, label: str) -> Segment:
    return Segment(
        number=number,
        label=label,
        category=Code(value="49755003", scheme="SCT", meaning="Morphologically Abnormal Structure"),
        type=Code(value="4147007", scheme="SCT", meaning="Mass"),
    )


def code(feature: str) -> str:
    """IBSI's code of a feature."""
    return FEATURES[feature][0]


def document(data: Path) -> str:
    """The text of `docs/ibsi.md`."""
    chapters = list(chapter_1(data))
    teams = list(sarcoma(data))
    earlier = lung1(data)
    return "\n".join(
        [
            *_opening(chapters, teams, earlier),
            *(line for configuration, rows in chapters for line in _chapter_table(configuration, rows)),
            *(line for modality in SARCOMA for line in _sarcoma_table(modality, teams)),
            "",
        ]
    )


def _opening(
    chapters: Sequence[tuple[Configuration, list[Row]]],
    teams: Sequence[tuple[str, str, list[Agreed]]],
    earlier: Sequence[Row],
) -> Iterator[str]:
    yield "# Agreement with IBSI"
    yield ""
    yield "Written by `bench/ibsi.py`. Columns and reasons are explained in [radiomics.md](radiomics.md)."
    yield ""
    yield "| configuration | processing | features | match with `ibsi = true` | match of pyradiomics alone |"
    yield "|---|---|---|---|---|"
    for configuration, rows in chapters:
        match, plain = sum(row.match for row in rows), sum(row.plain_match for row in rows)
        yield f"| {configuration.name} | {configuration.text} | {len(rows)} | {match} | {plain} |"
    yield ""
    yield "| sarcoma | processing | level | features of 3 patients | match |"
    yield "|---|---|---|---|---|"
    for modality, configuration in SARCOMA.items():
        agreed = [row for _, one, rows in teams for row in rows if one == modality]
        for level in ("strong", "moderate"):
            chosen = [one.row.match for one in agreed if one.level == level]
            yield f"| {modality} | {configuration.text} | {level} | {len(chosen)} | {sum(chosen)} |"
    yield ""
    worst = max(abs(row.ours - row.consensus) / abs(row.consensus) for row in earlier if row.consensus)
    yield (
        f"LUNG1-002, GTV-1, by pyradiomics 2.2.0 with its settings: {len(earlier)} features of the original image, "
        f"the largest relative difference is {worst:.0e}."
    )


def _chapter_table(configuration: Configuration, rows: Sequence[Row]) -> Iterator[str]:
    yield ""
    yield f"## {configuration.name}: {configuration.text}"
    yield ""
    yield "| feature | IBSI | aggregation | consensus | tolerance | ours | match | pyradiomics alone | match |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        yield (
            f"| {row.feature} | {code(row.feature)} | {row.aggregation} | {row.consensus:g} | {row.tolerance:g} "
            f"| {row.ours:.6g} | {_yes(row.match)} | {row.plain:.6g} | {_yes(row.plain_match)} |"
        )


def _sarcoma_table(modality: str, teams: Sequence[tuple[str, str, list[Agreed]]]) -> Iterator[str]:
    found = {patient: {one.row.feature: one for one in rows} for patient, other, rows in teams if other == modality}
    yield ""
    yield f"## Sarcoma, {modality}: {SARCOMA[modality].text}, GLCM and GLRLM merged"
    yield ""
    yield "| feature | IBSI |" + "".join(f" {patient} level | consensus | ours | match |" for patient in found)
    yield "|---|---|" + "---|---|---|---|" * len(found)
    for feature in TAGS:
        cells = []
        for rows in found.values():
            one = rows[feature]
            cells += [one.level, f"{one.row.consensus:.6g}", f"{one.row.ours:.6g}", _yes(one.row.match)]
        yield f"| {feature} | {code(feature)} | {' | '.join(cells)} |"


def _yes(match: bool) -> str:
    return "yes" if match else "no"


def main() -> None:
    """Write the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    DOCUMENT.write_text(document(parser.parse_args().data), encoding="utf-8")


if __name__ == "__main__":
    main()
