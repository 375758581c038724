"""Words that describe an examination and nobody: what may stay of free text."""

from __future__ import annotations

import re

#: Names of techniques, anatomy, contrast and reconstruction, in English and as scanners abbreviate them. No word
#: that is also a family name in common use.
_KNOWN = frozenset(
    """
    abd abdomen abdominal abdominopelvic acetabulum acquisition adc adrenal adrenals afterloading angio angiography
    ankle anterior aorta aortic apparent arm arterial artery attenuation auto ax axial axilla axillary b0 baseline
    bilateral biopsy bladder blood bolus bone bones bowel brain brainstem breast breasts bronchus c calcification
    cardiac carotid cavity cbct ce cerebellum cerebral cervical chest coil colon contrast cor coronal coronary cord cranial
    cranium cspine ct cta ctv cyst delayed derived diaphragm diffusion disease dixon dose dual duodenum dw dwi dynamic early
    echo edema elbow enhanced enhancement enhancing epi esophagus expiration external eye eyes fast fat fdg fdg-pet
    femoral femur field filtered finding first flair foot forearm frame fse full gallbladder ganglia gastric gland glands
    gradient gre gross gtv hand head heart hepatic high hilar hilum hip ileum iliac image images in inferior
    inspiration intensity internal intestine inverse inversion ivc jejunum joint kernel kidney kidneys knee large larynx
    lat late lateral left leg lesion lesions liver lobe local localiser localizer low lower lspine lumbar lung lungs lymph map mandible
    mask mass max maximum mean measurement mediastinal mediastinum medium metastasis metastases mid middle min minimum mip mm mpr
    mr mra mri muscle myocardium nac nasopharynx native neck necrosis negative no nodal node nodes nodule nodules non none
    noncontrast not number oblique oesophagus of or optic orbit oropharynx out outer ovary pancreas parallel parametric parotid patella pelvic pelvis
    perfusion pericardium peritoneum pet petct pharynx phase phantom pituitary planning plasma pleura pleural positive post posterior
    precontrast postcontrast pre primary prone prostate proton ptv pulmonary radiotherapy rec recon reconstruction rectum region renal
    research resolution respiratory result rib ribs right sacrum sag sagittal sarcoma scan score scout se second seg segment segmentation
    seminal sequence series short shoulder sigmoid single sinus sinuses skeleton skin skull small soft spin spinal spine
    spleen standard sternum stir stomach structure study subcutaneous sum superior supine suv t1 t1w t2 t2w target test
    thick thigh thin third thoracic thorax thymus thyroid tibia time tissue tof tongue topogram total trachea trunk tse
    tumor tumour tumours tumors ultrasound uncorrected upper ureter urinary uterus vein veins venous ventral ventricle ventricles
    vertebra vertebrae vesicles vessel vessels vibe view viewer volume volumetric wall water weighted whole wholebody window with without wrist
    """.split()
)

#: Left, right and what scanners put around words.
_PART = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z]+)?|\d+(?:[.,]\d+)?|[^\W\d_]+|[/+*%.,:;()\[\]_-]")
#: Sizes, counts, b-values; a number of more digits could be an identifier or a date.
_NUMBER = re.compile(r"\d{1,4}|\d{1,3}[.,]\d{1,3}")
#: Years would date an examination whose dates were moved.
_YEAR = re.compile(r"(?:19|20)\d\d")


def cleaned(text: str) -> str:
    """What of a text is known to describe no person: known words and short numbers, in their order."""
    kept = [part for part in _PART.findall(text) if _harmless(part)]
    return " ".join(kept) if any(part[0].isalpha() for part in kept) else ""


def _harmless(part: str) -> bool:
    if part[0].isdigit():
        return bool(_NUMBER.fullmatch(part)) and not _YEAR.fullmatch(part)
    return part.lower() in _KNOWN or all(one in _KNOWN for one in part.lower().split("-"))
