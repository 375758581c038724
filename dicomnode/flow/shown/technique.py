"""The attributes that say how images were made, and cannot say of whom."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.domain.condition import ASSOCIATION_KEYS

#: Codes, numbers and the names of machines; nothing here is typed by somebody who has the patient before them, as
#: descriptions and comments are. What is not listed may be about the patient.
TECHNIQUE = frozenset({
    "AcquisitionMatrix", "AnatomicRegionSequence", "BitsAllocated",
    "BitsStored", "BodyPartExamined", "BurnedInAnnotation", "CodeMeaning", "CodeValue", "CodingSchemeDesignator",
    "ConvolutionKernel", "CorrectedImage", "DataCollectionDiameter", "DecayCorrection",
    "DetectorElementSize", "DiffusionBValue", "DiffusionDirectionality", "DistanceSourceToDetector",
    "DistanceSourceToPatient", "EchoNumbers", "EchoTime", "EchoTrainLength", "Exposure",
    "ExposureInuAs", "ExposureTime", "FieldOfViewDimensions", "FieldOfViewShape", "FilterType", "FlipAngle",
    "FocalSpots", "FrameType", "GantryDetectorTilt", "HighBit", "ImageLaterality", "ImageOrientationPatient",
    "ImagePositionPatient", "ImageType", "ImagedNucleus", "ImagingFrequency", "InPlanePhaseEncodingDirection",
    "InversionTime", "KVP", "Laterality", "LossyImageCompression", "LossyImageCompressionRatio",
    "MRAcquisitionType", "MagneticFieldStrength", "Manufacturer", "ManufacturerModelName", "Modality",
    "NumberOfAverages", "NumberOfFrames", "NumberOfPhaseEncodingSteps", "NumberOfSlices", "NumberOfTemporalPositions",
    "NumberOfTimeSlices", "PatientPosition", "PercentPhaseFieldOfView", "PercentSampling", "PhotometricInterpretation",
    "PixelBandwidth", "PixelMeasuresSequence", "PixelRepresentation", "PixelSpacing", "PlanarConfiguration",
    "PlaneOrientationSequence", "PresentationIntentType", "RadionuclideCodeSequence", "RadionuclideHalfLife",
    "RadionuclideTotalDose", "RadiopharmaceuticalInformationSequence", "RandomsCorrectionMethod",
    "ReconstructionDiameter", "RepetitionTime", "RescaleIntercept", "RescaleSlope", "RescaleType", "Rows", "Columns",
    "SOPClassUID", "SamplesPerPixel", "ScanOptions", "ScanningSequence", "SequenceVariant", "SeriesType",
    "SharedFunctionalGroupsSequence", "SingleCollimationWidth", "SliceThickness", "SliceLocation",
    "SpacingBetweenSlices", "SpecificCharacterSet", "SpiralPitchFactor", "TableSpeed", "TemporalPositionIdentifier",
    "TotalCollimationWidth", "TransferSyntaxUID", "TriggerTime", "Units", "ViewPosition", "WindowCenter",
    "WindowWidth", "XRayTubeCurrent",
})  # fmt: skip


def is_technique(path: Sequence[str]) -> bool:
    """Whether an attribute, by the keywords that lead to it, says how images were made or who sent them."""
    return (len(path) == 1 and path[0] in ASSOCIATION_KEYS) or all(keyword in TECHNIQUE for keyword in path)
