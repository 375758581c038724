"""Radiomics of the node against the consensus of IBSI, and the document that shows both.

    .venv/bin/python bench/ibsi.py --data ~/.cache/dicomnode-data            # writes docs/ibsi.md
    .venv/bin/python bench/ibsi.py --data ~/.cache/dicomnode-data --print    # says what does not match

Data: the digital and the CT phantom of IBSI chapter 1 with its reference values, the sarcoma of its validation with the
values that its teams gave, and LUNG1-002 with values of pyradiomics 2.2.0.
"""

from __future__ import annotations

import argparse
import ast
import csv
from collections import Counter
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
            "MeshVolume volume VoxelVolume vol_approx SurfaceArea area_mesh SurfaceVolumeRatio av Sphericity sphericity "
            "Maximum3DDiameter diam MajorAxisLength pca_maj_axis MinorAxisLength pca_min_axis LeastAxisLength "
            "pca_least_axis Elongation pca_elongation Flatness pca_flatness",
        ),
        (
            "firstorder",
            "stat",
            "Mean mean Variance var Skewness skew Kurtosis kurt Median median Minimum min 10Percentile p10 90Percentile "
            "p90 Maximum max InterquartileRange iqr Range range MeanAbsoluteDeviation mad RobustMeanAbsoluteDeviation "
            "rmad Energy energy RootMeanSquared rms Entropy ih_entropy Uniformity ih_uniformity",
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
        ("ngtdm", "ngt", "Coarseness coarseness Contrast contrast Busyness busyness Complexity complexity Strength strength"),
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
    without
        Whether it is also computed without `ibsi`, which is pyradiomics alone.
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
    """IBSI's rule: within the tolerance, and without one equal to the digits that the consensus has, which are three."""
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
    images = [SimpleITK.ReadImage(str(folder / "nifti" / name)) for name in ("image/phantom.nii.gz", "mask/mask.nii.gz")]
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
    configuration: Configuration, volume: Volume, segmentation: Segmentation, consensus: Mapping[str, tuple[float, float]]
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


def _segment(number: int, label: str) -> Segment:
    return Segment(
        number=number,
        label=label,
        category=Code(value="49755003", scheme="SCT", meaning="Morphologically Abnormal Structure"),
        type=Code(value="4147007", scheme="SCT", meaning="Mass"),
    )


if __name__ == "__main__":
    import time
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=())
    a = parser.parse_args()
    for configuration, rows in chapter_1(a.data, a.only):
        print(configuration.name, configuration.dimension, len(rows), sum(r.match for r in rows), sum(r.plain_match for r in rows), time.process_time())
        for r in rows:
            if not r.match:
                print("   ", r.feature, r.aggregation, r.consensus, r.tolerance, f"{r.ours:.6g} {r.plain:.6g}")
