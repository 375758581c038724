"""`[radiomics]` in model.toml: image types, classes, features and settings by the names that pyradiomics gives them."""

# The keys are pyradiomics' own, so that a bundle reads like its parameter files.
# ruff: noqa: N815

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from dicomnode.domain.measuring import Harmonisation, RadiomicsSpec
from dicomnode.infer.bundle.tables import Count, NotNegative, Number, Positive, Table, Text

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

#: The features of every class that pyradiomics 3.0.1 does not call deprecated.
FEATURES: Mapping[str, tuple[str, ...]] = {
    kind: tuple(names.split())
    for kind, names in {
        "firstorder": (
            "10Percentile 90Percentile Energy Entropy InterquartileRange Kurtosis Maximum Mean MeanAbsoluteDeviation "
            "Median Minimum Range RobustMeanAbsoluteDeviation RootMeanSquared Skewness TotalEnergy Uniformity Variance"
        ),
        "glcm": (
            "Autocorrelation ClusterProminence ClusterShade ClusterTendency Contrast Correlation DifferenceAverage "
            "DifferenceEntropy DifferenceVariance Id Idm Idmn Idn Imc1 Imc2 InverseVariance JointAverage JointEnergy "
            "JointEntropy MCC MaximumProbability SumAverage SumEntropy SumSquares"
        ),
        "gldm": (
            "DependenceEntropy DependenceNonUniformity DependenceNonUniformityNormalized DependenceVariance "
            "GrayLevelNonUniformity GrayLevelVariance HighGrayLevelEmphasis LargeDependenceEmphasis "
            "LargeDependenceHighGrayLevelEmphasis LargeDependenceLowGrayLevelEmphasis LowGrayLevelEmphasis "
            "SmallDependenceEmphasis SmallDependenceHighGrayLevelEmphasis SmallDependenceLowGrayLevelEmphasis"
        ),
        "glrlm": (
            "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance HighGrayLevelRunEmphasis "
            "LongRunEmphasis LongRunHighGrayLevelEmphasis LongRunLowGrayLevelEmphasis LowGrayLevelRunEmphasis "
            "RunEntropy RunLengthNonUniformity RunLengthNonUniformityNormalized RunPercentage RunVariance "
            "ShortRunEmphasis ShortRunHighGrayLevelEmphasis ShortRunLowGrayLevelEmphasis"
        ),
        "glszm": (
            "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance HighGrayLevelZoneEmphasis "
            "LargeAreaEmphasis LargeAreaHighGrayLevelEmphasis LargeAreaLowGrayLevelEmphasis LowGrayLevelZoneEmphasis "
            "SizeZoneNonUniformity SizeZoneNonUniformityNormalized SmallAreaEmphasis SmallAreaHighGrayLevelEmphasis "
            "SmallAreaLowGrayLevelEmphasis ZoneEntropy ZonePercentage ZoneVariance"
        ),
        "ngtdm": ("Busyness Coarseness Complexity Contrast Strength"),
        "shape": (
            "Elongation Flatness LeastAxisLength MajorAxisLength Maximum2DDiameterColumn Maximum2DDiameterRow "
            "Maximum2DDiameterSlice Maximum3DDiameter MeshVolume MinorAxisLength Sphericity SurfaceArea "
            "SurfaceVolumeRatio VoxelVolume"
        ),
    }.items()
}

#: Image type → how the names of its features begin.
PREFIXES: Mapping[str, str] = {
    "Original": "original",
    "Wavelet": r"wavelet\d*-[LH]{2,3}",
    "LoG": r"log-sigma-\d+(-\d+)?-mm-[23]D",
    "Square": "square",
    "SquareRoot": "squareroot",
    "Logarithm": "logarithm",
    "Exponential": "exponential",
    "Gradient": "gradient",
    "LBP2D": "lbp-2D",
    "LBP3D": r"lbp-3D-(m\d+|k)",
}


def feature_parts(name: str) -> tuple[str, str]:
    """Image type and class of a feature by its full name, such as `original_glcm_Contrast`.

    Raises
    ------
    ValueError
        If pyradiomics has no such feature, with the name that may be meant.
    """
    image, _, rest = name.partition("_")
    kind, _, feature = rest.partition("_")
    type_ = next((one for one, prefix in PREFIXES.items() if re.fullmatch(prefix, image)), None)
    if type_ is not None and feature in FEATURES.get(kind, ()):
        return type_, kind
    known = [f"{one}_{each}" for one, names in FEATURES.items() for each in names]
    close = get_close_matches(rest, known, n=1, cutoff=0.6)
    if type_ is None:
        raise ValueError(
            f"{image} begins no feature of pyradiomics, needed original, wavelet-LHL, log-sigma-1-0-mm-3D …"
        )
    raise ValueError(
        f"pyradiomics has no feature {rest}; "
        + (f"did you mean {image}_{close[0]}?" if close else f"its classes are {', '.join(FEATURES)}")
    )


def _class(name: str) -> str:
    if name in FEATURES:
        return name
    close = get_close_matches(name, FEATURES, n=1, cutoff=0.6)
    raise ValueError(
        f"no class of features; did you mean {close[0]}?" if close else f"write one of {', '.join(FEATURES)}"
    )


Zero = Annotated[int, Field(ge=0)]


class SettingsTable(Table):
    """`[radiomics.settings]`, and those of one image type (pyradiomics' documentation, "Customizing the Extraction").

    The node itself sees to labels, geometry and cropping, so that their settings are no keys.
    """

    minimumROIDimensions: Annotated[int, Field(ge=1, le=3)] | None = None
    minimumROISize: Count | None = None
    binWidth: Positive | None = None
    binCount: Count | None = None
    normalize: bool | None = None
    normalizeScale: Positive | None = None
    removeOutliers: Positive | None = None
    resampledPixelSpacing: tuple[NotNegative, NotNegative, NotNegative] | None = None
    interpolator: (
        Literal[
            "sitkNearestNeighbor", "sitkLinear", "sitkBSpline", "sitkGaussian", "sitkLabelGaussian",
            "sitkHammingWindowedSinc", "sitkCosineWindowedSinc", "sitkWelchWindowedSinc", "sitkLanczosWindowedSinc",
            "sitkBlackmanWindowedSinc",
        ]
        | None
    ) = None  # fmt: skip
    padDistance: Zero | None = None
    distances: tuple[Count, ...] | None = None
    force2D: bool | None = None
    force2Ddimension: Annotated[int, Field(ge=0, le=2)] | None = None
    resegmentRange: Annotated[tuple[Number, ...], Field(min_length=1, max_length=2)] | None = None
    resegmentMode: Literal["absolute", "relative", "sigma"] | None = None
    resegmentShape: bool | None = None
    sigma: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    start_level: Zero | None = None
    level: Count | None = None
    wavelet: Text | None = None
    gradientUseSpacing: bool | None = None
    lbp2DRadius: Positive | None = None
    lbp2DSamples: Count | None = None
    lbp2DMethod: Literal["default", "ror", "uniform", "var"] | None = None
    lbp3DLevels: Count | None = None
    lbp3DIcosphereRadius: Positive | None = None
    lbp3DIcosphereSubdivision: Zero | None = None
    voxelArrayShift: int | None = None
    symmetricalGLCM: bool | None = None
    weightingNorm: Literal["manhattan", "euclidean", "infinity", "no_weighting"] | None = None
    gldm_a: Zero | None = None

    @model_validator(mode="after")
    def _one_way_to_discretise(self) -> Self:
        if self.binWidth is not None and self.binCount is not None:
            raise ValueError("binWidth stands beside binCount, needed one of both")
        return self

    def stated(self) -> dict[str, Any]:
        """What the bundle states, as pyradiomics takes it."""
        found = self.model_dump(exclude_none=True)
        return {name: [*value] if isinstance(value, tuple) else value for name, value in found.items()}


class ImageTypesTable(Table):
    """`[radiomics.image_types]`: the images whose features are computed, each with settings of its own."""

    Original: SettingsTable | None = None
    Wavelet: SettingsTable | None = None
    LoG: SettingsTable | None = None
    Square: SettingsTable | None = None
    SquareRoot: SettingsTable | None = None
    Logarithm: SettingsTable | None = None
    Exponential: SettingsTable | None = None
    Gradient: SettingsTable | None = None
    LBP2D: SettingsTable | None = None
    LBP3D: SettingsTable | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("no image type, needed one at least, such as Original = {}")
        if self.LoG is not None and self.LoG.sigma is None:
            raise ValueError(
                "LoG without sigma, needed the widths of its kernels in mm, such as LoG = { sigma = [1.0, 3.0] }"
            )
        return self

    def stated(self) -> dict[str, dict[str, Any]]:
        """Image type → its settings."""
        tables = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: table.stated() for name, table in tables.items() if table is not None}


class HarmonisationTable(Table):
    """`[radiomics.harmonisation]`: the file with the parameters of ComBat, and the SHA-256 that its bytes must have."""

    file: Annotated[str, Field(pattern=r"^[^/\\]+\.json$")]
    sha256: Sha256


class RadiomicsTable(Table):
    """`[radiomics]`: what is computed of every segment with `radiomics = true`."""

    image_types: ImageTypesTable = ImageTypesTable(Original=SettingsTable())
    classes: tuple[Annotated[str, AfterValidator(_class)], ...] = ()
    settings: SettingsTable = SettingsTable(binWidth=25.0)
    most_voxels: Count = RadiomicsSpec().most_voxels
    coarsen: bool = False
    most_anisotropy: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    ibsi: bool = False
    outliers_sigma: Positive | None = None
    perturb: bool = False
    stability: dict[str, Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _computed(self) -> Self:
        if self.outliers_sigma is not None and not self.ibsi:
            raise ValueError(
                "outliers_sigma without ibsi = true, needed both, or resegmentMode = 'sigma' as pyradiomics has it"
            )
        for name in self.stability:
            self.require(name)
        return self

    def require(self, name: str) -> None:
        """Check that a feature is computed with these settings.

        Raises
        ------
        ValueError
            If there is no such feature, or its image type or class is left out.
        """
        type_, kind = feature_parts(name)
        if type_ not in self.image_types.stated():
            raise ValueError(f"{name} without the image type {type_}, needed in radiomics.image_types")
        if self.classes and kind not in self.classes:
            raise ValueError(f"{name} without the class {kind}, needed in radiomics.classes")

    def spec(self, harmonisation: Harmonisation | None = None) -> RadiomicsSpec:
        """The same as a domain value, with what the file of `harmonisation` holds."""
        return RadiomicsSpec(
            image_types=self.image_types.stated(),
            classes=self.classes,
            settings=self.settings.stated(),
            most_voxels=self.most_voxels,
            coarsen=self.coarsen,
            most_anisotropy=self.most_anisotropy,
            ibsi=self.ibsi,
            outliers_sigma=self.outliers_sigma,
            perturb=self.perturb,
            stability=dict(self.stability),
            harmonisation=harmonisation,
        )
