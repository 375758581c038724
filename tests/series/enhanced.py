"""Enhanced multi-frame CT and MR objects with functional groups, and the legacy conversion of single-frame series."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from highdicom.legacy import LegacyConvertedEnhancedCTImage, LegacyConvertedEnhancedMRImage
from pydicom import Dataset
from pydicom.uid import EnhancedCTImageStorage, EnhancedMRImageStorage

from tests.series.classic import ct, mr
from tests.series.header import Place, apply, code, decimal, decimals, new_object, pixels, uid
from tests.series.scan import Scan


def enhanced_ct(scan: Scan, place: Place, *, seed: int | None = None) -> Dataset:
    """Enhanced CT Image Storage (PS3.3 A.38); the frames are shuffled where a seed is given."""
    ds = new_object(place, EnhancedCTImageStorage, "CT", "enhanced")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.MultienergyCTAcquisition = "NO"
    shared = Dataset()
    shared.CTImageFrameTypeSequence = [_frame_type(ds)]
    acquisition = _item(AcquisitionType="SPIRAL", ConstantVolumeFlag="NO", FluoroscopyFlag="NO")
    shared.CTAcquisitionTypeSequence = [acquisition]
    shared.CTReconstructionSequence = [_item(
        ReconstructionAlgorithm="FILTER_BACK_PROJ", ConvolutionKernel="STANDARD",
        ConvolutionKernelGroup="SOFT_TISSUE", ReconstructionDiameter=500.0,
        ReconstructionPixelSpacing=[float(one) for one in scan.pixel_spacing_mm], ReconstructionAngle=360.0,
    )]  # fmt: skip
    transformation = _item(RescaleIntercept="-1024", RescaleSlope="1", RescaleType="HU")
    shared.PixelValueTransformationSequence = [transformation]
    _frames(ds, shared, scan, seed)
    order = [int(groups.FrameContentSequence[0].InStackPositionNumber) - 1 for groups in
             ds.PerFrameFunctionalGroupsSequence]  # fmt: skip
    pixels(ds, (scan.values[order].astype(np.int32) + 1024).astype(np.uint16))
    return apply(ds, place.more)


def enhanced_mr(scan: Scan, place: Place, *, seed: int | None = None) -> Dataset:
    """Enhanced MR Image Storage (PS3.3 A.36); the frames are shuffled where a seed is given."""
    ds = new_object(place, EnhancedMRImageStorage, "MR", "enhanced")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "T1", "NONE"]
    ds.ComplexImageComponent, ds.AcquisitionContrast = "MAGNITUDE", "T1"
    ds.MagneticFieldStrength, ds.ResonantNucleus, ds.KSpaceFiltering = 1.5, "1H", "NONE"
    ds.ContentQualification, ds.ApplicableSafetyStandardAgency = "RESEARCH", "IEC"
    shared = Dataset()
    frame_type = _frame_type(ds)
    frame_type.ComplexImageComponent, frame_type.AcquisitionContrast = "MAGNITUDE", "T1"
    shared.MRImageFrameTypeSequence = [frame_type]
    shared.MREchoSequence = [_item(EffectiveEchoTime=10.0)]
    shared.PixelValueTransformationSequence = [_item(RescaleIntercept="0", RescaleSlope="1", RescaleType="US")]
    _frames(ds, shared, scan, seed)
    order = [int(groups.FrameContentSequence[0].InStackPositionNumber) - 1 for groups in
             ds.PerFrameFunctionalGroupsSequence]  # fmt: skip
    pixels(ds, scan.values[order])
    return apply(ds, place.more)


def legacy_ct(scan: Scan, place: Place) -> Dataset:
    """Legacy Converted Enhanced CT Image Storage (PS3.3 A.70) made by highdicom from single-frame images."""
    single = ct(scan, place)
    made = LegacyConvertedEnhancedCTImage(single, place.series_instance_uid, place.number, uid(place, "legacy"), 1)
    return _finished(made, place)


def legacy_mr(scan: Scan, place: Place) -> Dataset:
    """Legacy Converted Enhanced MR Image Storage (PS3.3 A.71) made by highdicom from single-frame images."""
    single = mr(scan, place)
    made = LegacyConvertedEnhancedMRImage(single, place.series_instance_uid, place.number, uid(place, "legacy"), 1)
    return _finished(made, place)


def _finished(ds: Dataset, place: Place) -> Dataset:
    # highdicom leaves the description of the series out, since the converted series is another one.
    ds.SeriesDescription = place.description or place.series
    return apply(ds, place.more)


def _frames(ds: Dataset, shared: Dataset, scan: Scan, seed: int | None) -> None:
    """Multi-frame functional groups and dimensions (PS3.3 C.7.6.16, C.7.6.17)."""
    ds.InstanceNumber, ds.NumberOfFrames = 1, len(scan.values)
    ds.AcquisitionDateTime, ds.AcquisitionDuration = f"{ds.AcquisitionDate}{ds.AcquisitionTime}", 1000.0
    ds.PixelPresentation, ds.VolumetricProperties = "MONOCHROME", "VOLUME"
    ds.VolumeBasedCalculationTechnique = "NONE"
    ds.ContentQualification, ds.LossyImageCompression, ds.BurnedInAnnotation = "RESEARCH", "00", "NO"
    ds.PresentationLUTShape, ds.AcquisitionContextSequence = "IDENTITY", []
    shared.PixelMeasuresSequence = [
        _item(PixelSpacing=decimals(scan.pixel_spacing_mm), SliceThickness=decimal(scan.spacing_mm))
    ]
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=decimals(scan.cosines))]
    region = _item(AnatomicRegionSequence=[code("51185008", "SCT", "Chest")], FrameLaterality="U")
    shared.FrameAnatomySequence = [region]
    shared.FrameVOILUTSequence = [_item(WindowCenter="40", WindowWidth="400")]
    ds.SharedFunctionalGroupsSequence = [shared]
    organization = uid(ds.SOPInstanceUID, "dimensions")
    ds.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=organization)]
    pointers = (0x00209056, 0x00209057)  # Stack ID, In-Stack Position Number
    ds.DimensionIndexSequence = [
        _item(DimensionOrganizationUID=organization, DimensionIndexPointer=pointer, FunctionalGroupPointer=0x00209111)
        for pointer in pointers
    ]
    order = list(range(len(scan.values)))
    if seed is not None:
        random.Random(seed).shuffle(order)
    ds.PerFrameFunctionalGroupsSequence = [_per_frame(ds, scan, index) for index in order]


def _per_frame(ds: Dataset, scan: Scan, index: int) -> Dataset:
    groups = Dataset()
    groups.FrameContentSequence = [_item(
        FrameAcquisitionNumber=1, StackID="1", InStackPositionNumber=index + 1, DimensionIndexValues=[1, index + 1],
        FrameReferenceDateTime=ds.AcquisitionDateTime, FrameAcquisitionDateTime=ds.AcquisitionDateTime,
        FrameAcquisitionDuration=10.0,
    )]  # fmt: skip
    groups.PlanePositionSequence = [_item(ImagePositionPatient=decimals(scan.position_mm(index)))]
    return groups


def _frame_type(ds: Dataset) -> Dataset:
    return _item(
        FrameType=list(ds.ImageType), PixelPresentation="MONOCHROME", VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
    )  # fmt: skip


def _item(**values: Any) -> Dataset:
    return apply(Dataset(), values)
