"""What the real data is expected to give: the shape, spacing and unit of a volume, or the words of a refusal."""

from __future__ import annotations

from dataclasses import dataclass

#: Folders whose files are cases of their own.
BY_FILE = ("dcmqi/segmentations", "fodicom_edge", "highdicom", "nm_qc_mediso", "pydicom_malformed")

HU = "[hnsf'U]"
SUV = "g/ml{SUVbw}"

#: Anonymisers took the frame of reference from the headers of dicom2nifti and others.
FRAME = "no frame of reference"

#: The Rescale Type of these says that they are in units of their own.
NO_HU = (r"no Hounsfield Units \(Rescale Type US\)",)
LOSSY = ("compressed with loss",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """A series that makes a volume.

    Attributes
    ----------
    warns
        Patterns that the warnings must hold; there are none where this is empty.
    placed
        Pattern of the refusal of a series that an anonymiser scattered over several studies, where it did; copies in
        one study and one frame of reference are read then.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    unit: str = "1"
    warns: tuple[str, ...] = ()
    placed: str = ""


READS: dict[str, Reads] = {
    "ct_headphantom_philips/S21610/S2010:CT": Reads(
        shape=(54, 600, 512),
        spacing_mm=(2.3708, 0.4824, 0.4824),
        unit=HU,
        warns=(
            r"tilted by 18\.5°",
            "Spacing Between Slices is stated as 2.5 mm",
        ),
    ),
    "ct_liver_crlm1004/CRLM-CT-1004/image:CT": Reads(shape=(41, 512, 512), spacing_mm=(5.0, 0.7969, 0.7969), unit=HU),
    "dcmqi/segmentations/23x38x3/image:CT": Reads(shape=(3, 38, 23), spacing_mm=(2.5, 0.7, 0.7), warns=NO_HU),
    "dcmqi/segmentations/23x38x3/multiframe:CT": Reads(shape=(3, 38, 23), spacing_mm=(2.5, 0.7, 0.7), warns=NO_HU),
    "dcmqi/segmentations/24x38x3/image:CT": Reads(shape=(3, 38, 24), spacing_mm=(2.5, 0.7, 0.7), warns=NO_HU),
    "dcmqi/segmentations/24x38x3/multiframe:CT": Reads(shape=(3, 38, 24), spacing_mm=(2.5, 0.7, 0.7), warns=NO_HU),
    "dcmqi/segmentations/ct-3slice:CT": Reads(shape=(3, 512, 512), spacing_mm=(1.0, 0.8105, 0.8105), unit=HU),
    "dicom2nifti/failing/gantrytilting/001:CT": Reads(
        shape=(4, 521, 512),
        spacing_mm=(4.8515, 0.418, 0.418),
        unit=HU,
        warns=(
            r"tilted by 14\.0°",
            FRAME,
        ),
    ),
    "dicom2nifti/failing/slicecount/001:MR": Reads(shape=(2, 256, 256), spacing_mm=(1.0, 1.0, 1.0), warns=(FRAME,)),
    "dicom2nifti/ge/anatomical/001:MR": Reads(shape=(4, 256, 256), spacing_mm=(1.0, 1.0, 1.0), warns=(FRAME,)),
    "dicom2nifti/ge/anatomical/001_implicit:MR": Reads(shape=(4, 256, 256), spacing_mm=(1.0, 1.0, 1.0), warns=(FRAME,)),
    "dicom2nifti/ge/fmri/001:MR": Reads(
        shape=(4, 64, 64),
        spacing_mm=(3.6, 3.0, 3.0),
        warns=(
            "set 1 of 2 .* was used",
            FRAME,
        ),
    ),
    "dicom2nifti/ge/fmri/001_implicit:MR": Reads(
        shape=(4, 64, 64),
        spacing_mm=(3.6, 3.0, 3.0),
        warns=(
            "set 1 of 2 .* was used",
            FRAME,
        ),
    ),
    "dicom2nifti/generic/anatomical/001:MR": Reads(shape=(4, 256, 256), spacing_mm=(1.0, 1.0, 1.0), warns=(FRAME,)),
    "dicom2nifti/generic/anatomical/001_implicit:MR": Reads(
        shape=(4, 256, 256), spacing_mm=(1.0, 1.0, 1.0), warns=(FRAME,)
    ),
    "dicom2nifti/generic/anatomical/002_non_isotropic:MR": Reads(
        shape=(4, 28, 64), spacing_mm=(0.5, 4.0, 6.4), warns=(FRAME,)
    ),
    "dicom2nifti/generic/compressed/001:MR": Reads(shape=(4, 256, 256), spacing_mm=(1.0, 1.0, 1.0), warns=(FRAME,)),
    "dicom2nifti/generic/compressed_j2k/001:MR": Reads(shape=(4, 256, 256), spacing_mm=(1.0, 1.0, 1.0), warns=(FRAME,)),
    "dicom2nifti/generic/compressed_jpeg/001:MR": Reads(
        shape=(4, 256, 256), spacing_mm=(1.0, 1.0, 1.0), warns=(FRAME,)
    ),
    "dicom2nifti/generic/compressed_jpegls/001:MR": Reads(
        shape=(4, 256, 256), spacing_mm=(1.0, 1.0, 1.0), warns=(FRAME,)
    ),
    "dicom2nifti/generic/compressed_rle/001:MR": Reads(shape=(4, 256, 256), spacing_mm=(1.0, 1.0, 1.0), warns=(FRAME,)),
    "dicom2nifti/philips_enhanced/anatomical/001:MR": Reads(
        shape=(8, 256, 256), spacing_mm=(1.2, 1.0, 1.0), warns=(FRAME,)
    ),
    "dicom2nifti/philips_enhanced/fmri/001:MR": Reads(
        shape=(8, 64, 64),
        spacing_mm=(3.3125, 3.3125, 3.3125),
        warns=(
            "time point 1 of 4 .* was used",
            FRAME,
        ),
    ),
    "ibsi1_ct_phantom/dicom/image:CT": Reads(shape=(60, 201, 204), spacing_mm=(3.0, 0.977, 0.977), unit=HU),
    "ibsi1_digital_phantom/dicom_deprecated/image:MR": Reads(shape=(4, 4, 5), spacing_mm=(1.0, 1.0, 1.0)),
    "ibsi2_digital_phantom/dicom/orientation:CT": Reads(shape=(64, 48, 32), spacing_mm=(2.0, 2.0, 2.0), unit=HU),
    "ibsi_suv_dro/DRO/DRO_0_0/PT:PT": Reads(shape=(20, 256, 256), spacing_mm=(4.0, 4.0, 4.0), unit=SUV),
    "ibsi_suv_dro/DRO/DRO_1_0/PT:PT": Reads(shape=(20, 256, 256), spacing_mm=(4.0, 4.0, 4.0), unit=SUV),
    "ibsi_suv_dro/DRO/DRO_2_0/PT:PT": Reads(shape=(20, 256, 256), spacing_mm=(4.0, 4.0, 4.0), unit=SUV),
    "ibsi_suv_dro/DRO/DRO_2_4/PT:PT": Reads(shape=(20, 256, 256), spacing_mm=(4.0, 4.0, 4.0), unit=SUV),
    "ibsi_suv_dro/DRO/DRO_3_0/PT:PT": Reads(shape=(20, 256, 256), spacing_mm=(4.0, 4.0, 4.0), unit=SUV, warns=("MBq",)),
    "ibsi_suv_dro/DRO/DRO_3_1/PT:PT": Reads(shape=(20, 256, 256), spacing_mm=(4.0, 4.0, 4.0), unit=SUV),
    "ibsi_suv_dro/DRO/DRO_4_0/PT:PT": Reads(shape=(20, 256, 256), spacing_mm=(4.0, 4.0, 4.0), unit=SUV),
    "ibsi_suv_dro/DRO/DRO_4_1/PT:PT": Reads(shape=(20, 256, 256), spacing_mm=(4.0, 4.0, 4.0), unit=SUV),
    "lung1/LUNG1-002_20180526_CT:CT": Reads(shape=(111, 512, 512), spacing_mm=(3.0, 0.977, 0.977), unit=HU),
    "mr_enh_dcm_qa_enh/Philips:MR": Reads(
        shape=(32, 64, 64), spacing_mm=(4.0, 4.0, 4.0), warns=(r"T1\\M\) was used, not .*FIELD_MAP",)
    ),
    "mr_t1_philips_mprage:MR": Reads(shape=(170, 256, 256), spacing_mm=(1.0, 1.0, 1.0)),
    "nm_qc_mediso/Jaszack.dcm": Reads(
        shape=(45, 128, 128), spacing_mm=(4.13, 4.13, 4.13), unit="{counts}", warns=(FRAME,)
    ),
    "rt_utils/mock_data:CT": Reads(shape=(2, 512, 512), spacing_mm=(5.0, 0.4883, 0.4883), unit=HU),
    "rt_utils/oriented_data:CT": Reads(
        shape=(3, 50, 100), spacing_mm=(4.5, 3.5, 2.5), warns=NO_HU, placed="3 different values of StudyInstanceUID"
    ),
    "sts_ibsi_validation/STS_002/dicom/STS_002/CT/image:CT": Reads(
        shape=(48, 143, 161), spacing_mm=(3.27, 0.9766, 0.9766), unit=HU
    ),
    "sts_ibsi_validation/STS_002/dicom/STS_002/MR_T1/image:MR": Reads(
        shape=(35, 90, 115), spacing_mm=(3.27, 0.9766, 0.9766)
    ),
    "sts_ibsi_validation/STS_002/dicom/STS_002/PET/image:PT": Reads(
        shape=(48, 27, 30), spacing_mm=(3.27, 5.4688, 5.4688), unit=SUV
    ),
    "sts_ibsi_validation/STS_005/dicom/STS_005/CT/image:CT": Reads(
        shape=(79, 199, 162), spacing_mm=(3.27, 0.9766, 0.9766), unit=HU
    ),
    "sts_ibsi_validation/STS_005/dicom/STS_005/MR_T1/image:MR": Reads(
        shape=(79, 155, 126), spacing_mm=(3.27, 0.9766, 0.9766)
    ),
    "sts_ibsi_validation/STS_005/dicom/STS_005/PET/image:PT": Reads(
        shape=(79, 37, 37), spacing_mm=(3.27, 5.4688, 5.4688), unit=SUV
    ),
    "sts_ibsi_validation/STS_010/dicom/STS_010/CT/image:CT": Reads(
        shape=(59, 164, 185), spacing_mm=(3.27, 0.9766, 0.9766), unit=HU
    ),
    "sts_ibsi_validation/STS_010/dicom/STS_010/MR_T1/image:MR": Reads(
        shape=(59, 136, 137), spacing_mm=(3.27, 0.9766, 0.9766)
    ),
    "sts_ibsi_validation/STS_010/dicom/STS_010/PET/image:PT": Reads(
        shape=(59, 31, 34), spacing_mm=(3.27, 5.4688, 5.4688), unit=SUV
    ),
    "dcmqi/paramaps:MR": Reads(shape=(1, 256, 256), spacing_mm=(3.0, 0.7031, 0.7031)),
    "highdicom/ct_image.dcm": Reads(shape=(1, 128, 128), spacing_mm=(5.0, 0.6615, 0.6615), unit=HU),
    "fodicom_edge/D_CLUNIE_CT1_RLE_FRAGS.dcm": Reads(shape=(1, 512, 512), spacing_mm=(5.0, 0.6615, 0.6615), unit=HU),
    "fodicom_edge/GH177_D_CLUNIE_CT1_IVRLE_BigEndian_ELE_undefinded_length.dcm": Reads(
        shape=(1, 512, 512), spacing_mm=(5.0, 0.6615, 0.6615), unit=HU
    ),
    "pydicom_malformed/693_J2KI.dcm": Reads(
        shape=(1, 512, 512), spacing_mm=(20.0, 0.4785, 0.4785), unit=HU, warns=(*LOSSY, FRAME)
    ),
    "pydicom_malformed/CT_small.dcm": Reads(shape=(1, 128, 128), spacing_mm=(5.0, 0.6615, 0.6615), unit=HU),
    "pydicom_malformed/J2K_pixelrep_mismatch.dcm": Reads(shape=(1, 512, 512), spacing_mm=(5.0, 0.431, 0.431), unit=HU),
    "pydicom_malformed/MR_small.dcm": Reads(shape=(1, 64, 64), spacing_mm=(0.8, 0.3125, 0.3125)),
    "pydicom_malformed/MR_small_RLE.dcm": Reads(shape=(1, 64, 64), spacing_mm=(0.8, 0.3125, 0.3125)),
    "pydicom_malformed/MR_small_bigendian.dcm": Reads(shape=(1, 64, 64), spacing_mm=(0.8, 0.3125, 0.3125)),
    "pydicom_malformed/MR_small_expb.dcm": Reads(shape=(1, 64, 64), spacing_mm=(0.8, 0.3125, 0.3125)),
    "pydicom_malformed/MR_small_implicit.dcm": Reads(shape=(1, 64, 64), spacing_mm=(0.8, 0.3125, 0.3125)),
    "pydicom_malformed/MR_small_jp2klossless.dcm": Reads(shape=(1, 64, 64), spacing_mm=(0.8, 0.3125, 0.3125)),
    "pydicom_malformed/MR_small_jpeg_ls_lossless.dcm": Reads(shape=(1, 64, 64), spacing_mm=(0.8, 0.3125, 0.3125)),
    "pydicom_malformed/MR_small_padded.dcm": Reads(shape=(1, 64, 64), spacing_mm=(0.8, 0.3125, 0.3125)),
    "wg04/J2KI:CT": Reads(shape=(1, 512, 512), spacing_mm=(5.0, 0.6615, 0.6615), unit=HU, warns=LOSSY),
    "wg04/J2KI:MR": Reads(shape=(1, 512, 512), spacing_mm=(0.8, 0.3125, 0.3125), warns=LOSSY),
    "wg04/J2KR:CT": Reads(shape=(1, 512, 512), spacing_mm=(5.0, 0.6615, 0.6615), unit=HU),
    "wg04/J2KR:MR": Reads(shape=(1, 512, 512), spacing_mm=(0.8, 0.3125, 0.3125)),
    "wg04/JLSL:CT": Reads(shape=(1, 512, 512), spacing_mm=(5.0, 0.6615, 0.6615), unit=HU),
    "wg04/JLSL:MR": Reads(shape=(1, 512, 512), spacing_mm=(0.8, 0.3125, 0.3125)),
    "wg04/JLSN:CT": Reads(shape=(1, 512, 512), spacing_mm=(5.0, 0.6615, 0.6615), unit=HU, warns=LOSSY),
    "wg04/JLSN:MR": Reads(shape=(1, 512, 512), spacing_mm=(0.8, 0.3125, 0.3125), warns=LOSSY),
    "wg04/JPLL:CT": Reads(shape=(1, 512, 512), spacing_mm=(5.0, 0.6615, 0.6615), unit=HU),
    "wg04/JPLL:MR": Reads(shape=(1, 512, 512), spacing_mm=(0.8, 0.3125, 0.3125)),
    "wg04/REF:CT": Reads(shape=(1, 512, 512), spacing_mm=(5.0, 0.6615, 0.6615), unit=HU),
    "wg04/REF:MR": Reads(shape=(1, 512, 512), spacing_mm=(0.8, 0.3125, 0.3125)),
    "wg04/RLE:CT": Reads(shape=(1, 512, 512), spacing_mm=(5.0, 0.6615, 0.6615), unit=HU),
    "wg04/RLE:MR": Reads(shape=(1, 512, 512), spacing_mm=(0.8, 0.3125, 0.3125)),
    "wg04/JPLY:MR": Reads(shape=(1, 512, 512), spacing_mm=(0.8, 0.3125, 0.3125), warns=LOSSY),
}

REFUSES: dict[str, str] = {
    "ct_headphantom_philips/S21610/S1000:CT": "1 position, needed 2 or more",
    "ct_headphantom_philips/S21610/S1000:DIRFILE": "no SOP Instance UID",
    "ct_headphantom_philips/S21610/S2010:DIRFILE": "no SOP Instance UID",
    "ct_headphantom_philips/S21610/S4010:CT": "RGB with 3 samples per pixel, needed greyscale",
    "ct_headphantom_philips/S21610/S4010:DIRFILE": "no SOP Instance UID",
    "dcmqi/segmentations/23x38x3/seg:SEG": "1 bits per pixel",
    "dcmqi/segmentations/24x38x3/seg:SEG": "1 bits per pixel",
    "dcmqi/segmentations/liver.dcm": "1 bits per pixel",
    "dcmqi/segmentations/partial_overlaps.dcm": "1 bits per pixel",
    "dcmqi/segmentations/sparse-labelmap-noppv.dcm": "(RTDOSE|SEG) derived from images",
    "dcmqi/segmentations/sparse-labelmap-ppv5.dcm": "(RTDOSE|SEG) derived from images",
    "dcmqi/sr-example:RWV": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "dcmqi/sr-example:SEG": "1 bits per pixel",
    "dcmqi/sr-example:SR": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "dicom2nifti/failing/sliceincrement/001:CT": "slice gap 10 mm at position 3 of 4 .* expected 5 mm",
    "dicom2nifti/ge/anatomical/001_single_slice:MR": "one slice, needed Spacing Between Slices",
    "dicom2nifti/siemens/fmri/001:MR": "mosaic",
    "fodicom_edge/GH177_D_CLUNIE_CT1_IVRLE_BigEndian_undefined_length.dcm": "No tag to read",
    "highdicom/dx_image.dcm": "no ImagePositionPatient",
    "highdicom/seg_image_cr_binary.dcm": "1 bits per pixel",
    "highdicom/seg_image_ct_binary.dcm": "1 bits per pixel",
    "highdicom/seg_image_ct_binary_fractional.dcm": "(RTDOSE|SEG) derived from images",
    "highdicom/seg_image_ct_binary_overlap.dcm": "1 bits per pixel",
    "highdicom/seg_image_ct_binary_single_frame.dcm": "1 bits per pixel",
    "highdicom/seg_image_ct_true_fractional.dcm": "(RTDOSE|SEG) derived from images",
    "highdicom/seg_image_sm_control.dcm": "1 bits per pixel",
    "highdicom/seg_image_sm_control_labelmap.dcm": "(RTDOSE|SEG) derived from images",
    "highdicom/seg_image_sm_control_labelmap_palette_color.dcm": "PALETTE COLOR",
    "highdicom/seg_image_sm_dots.dcm": "1 bits per pixel",
    "highdicom/seg_image_sm_dots_tiled_full.dcm": "1 bits per pixel",
    "highdicom/seg_image_sm_numbers.dcm": "1 bits per pixel",
    "highdicom/sm_annotations.dcm": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "highdicom/sm_image.dcm": "RGB with 3 samples per pixel, needed greyscale",
    "highdicom/sm_image_control.dcm": "RGB with 3 samples per pixel, needed greyscale",
    "highdicom/sm_image_dots.dcm": "RGB with 3 samples per pixel, needed greyscale",
    "highdicom/sm_image_grayscale.dcm": "25 frames without functional groups",
    "highdicom/sm_image_grayscale_reversed.dcm": "25 frames without functional groups",
    "highdicom/sm_image_jpegls.dcm": "RGB with 3 samples per pixel, needed greyscale",
    "highdicom/sm_image_jpegls_nobot.dcm": "RGB with 3 samples per pixel, needed greyscale",
    "highdicom/sm_image_numbers.dcm": "RGB with 3 samples per pixel, needed greyscale",
    "highdicom/sr_document.dcm": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "highdicom/sr_document_with_multiple_groups.dcm": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "ibsi1_ct_phantom/dicom/mask:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "ibsi1_digital_phantom/dicom_deprecated/mask:SEG": "1 bits per pixel",
    "ibsi_suv_dro/DRO/DRO_0_0/RS:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "ibsi_suv_dro/DRO/DRO_1_0/RS:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "ibsi_suv_dro/DRO/DRO_2_0/RS:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "ibsi_suv_dro/DRO/DRO_2_4/RS:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "ibsi_suv_dro/DRO/DRO_3_0/RS:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "ibsi_suv_dro/DRO/DRO_3_1/RS:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "ibsi_suv_dro/DRO/DRO_4_0/RS:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "ibsi_suv_dro/DRO/DRO_4_1/RS:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "lung1/LUNG1-002_20180526_CT:RTDOSE": "(RTDOSE|SEG) derived from images",
    "lung1/LUNG1-002_20180526_CT:RTPLAN": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "lung1/LUNG1-002_20180526_CT:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "nm_qc_mediso/FourBar.dcm": "nuclear medicine image of type STATIC",
    "pydicom_malformed/ExplVR_BigEndNoMeta.dcm": "missing DICOM File Meta Information",
    "pydicom_malformed/ExplVR_LitEndNoMeta.dcm": "missing DICOM File Meta Information",
    "pydicom_malformed/JPEG-lossy.dcm": "no ImagePositionPatient",
    "pydicom_malformed/JPEG2000-embedded-sequence-delimiter.dcm": "no ImagePositionPatient",
    "pydicom_malformed/JPEG2000.dcm": "no ImagePositionPatient",
    "pydicom_malformed/MR_truncated.dcm": "8130 bytes of pixel data, needed 8192",
    "pydicom_malformed/SC_rgb_small_odd.dcm": "RGB with 3 samples per pixel, needed greyscale",
    "pydicom_malformed/SC_rgb_small_odd_big_endian.dcm": "RGB with 3 samples per pixel, needed greyscale",
    "pydicom_malformed/SC_rgb_small_odd_jpeg.dcm": "YBR_FULL",
    "pydicom_malformed/UN_sequence.dcm": "no SOP Instance UID",
    "pydicom_malformed/badVR.dcm": "Number of Frames that cannot be read",
    "pydicom_malformed/empty_charset_LEI.dcm": "no SOP Instance UID",
    "pydicom_malformed/image_dfl.dcm": "no ImagePositionPatient",
    "pydicom_malformed/liver_1frame.dcm": "1 bits per pixel",
    "pydicom_malformed/meta_missing_tsyntax.dcm": "no SOP Instance UID",
    "pydicom_malformed/nested_priv_SQ.dcm": "no SOP Instance UID",
    "pydicom_malformed/no_meta.dcm": "missing DICOM File Meta Information",
    "pydicom_malformed/no_meta_group_length.dcm": "no SOP Instance UID",
    "pydicom_malformed/priv_SQ.dcm": "no SOP Instance UID",
    "pydicom_malformed/reportsi.dcm": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "pydicom_malformed/reportsi_with_empty_number_tags.dcm": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "pydicom_malformed/rtdose.dcm": "(RTDOSE|SEG) derived from images",
    "pydicom_malformed/rtdose_1frame.dcm": "(RTDOSE|SEG) derived from images",
    "pydicom_malformed/rtdose_expb.dcm": "(RTDOSE|SEG) derived from images",
    "pydicom_malformed/rtdose_expb_1frame.dcm": "(RTDOSE|SEG) derived from images",
    "pydicom_malformed/rtdose_rle.dcm": "(RTDOSE|SEG) derived from images",
    "pydicom_malformed/rtdose_rle_1frame.dcm": "(RTDOSE|SEG) derived from images",
    "pydicom_malformed/rtplan_truncated.dcm": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "pydicom_malformed/rtstruct.dcm": "missing DICOM File Meta Information",
    "pydicom_malformed/test-SR.dcm": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "rt_utils/empty:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "rt_utils/mock_data:RTSTRUCT": "different values of SeriesInstanceUID",
    "rt_utils/one_slice_data:CT": "one slice, needed Spacing Between Slices",
    "sts_ibsi_validation/STS_002/dicom/STS_002/CT/mask:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "sts_ibsi_validation/STS_002/dicom/STS_002/MR_T1/mask:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "sts_ibsi_validation/STS_002/dicom/STS_002/PET/mask:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "sts_ibsi_validation/STS_005/dicom/STS_005/CT/mask:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "sts_ibsi_validation/STS_005/dicom/STS_005/MR_T1/mask:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "sts_ibsi_validation/STS_005/dicom/STS_005/PET/mask:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "sts_ibsi_validation/STS_010/dicom/STS_010/CT/mask:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "sts_ibsi_validation/STS_010/dicom/STS_010/MR_T1/mask:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "sts_ibsi_validation/STS_010/dicom/STS_010/PET/mask:RTSTRUCT": "(RTSTRUCT|RTPLAN|RWV|SR|ANN) without pixels",
    "wg04/J2KI:NM": "no ImagePositionPatient",
    "wg04/J2KR:NM": "no ImagePositionPatient",
    "wg04/JLSL:NM": "no ImagePositionPatient",
    "wg04/JLSN:NM": "no ImagePositionPatient",
    "wg04/JPLL:NM": "no ImagePositionPatient",
    "wg04/JPLY:NM": "no ImagePositionPatient",
    "wg04/REF:NM": "no ImagePositionPatient",
    "wg04/RLE:NM": "no ImagePositionPatient",
}
