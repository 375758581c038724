"""Words that describe an examination and nobody: what may stay of free text."""

from __future__ import annotations

import re

#: Names of techniques, anatomy, contrast and reconstruction, in English and as scanners abbreviate them. Somebody
#: called Head leaves one word that says nothing about her.
_KNOWN_TEXT = """\
abd abdomen abdominal abdominopelvic acetabulum acquisition adc adrenal adrenals afterloading angio angiography
ankle anterior aorta aortic apparent arm arterial artery attenuation auto ax axial axilla axillary b0 baseline
bilateral biopsy bladder blood bolus bone bones bowel brain brainstem breast breasts bronchus calcification cardiac
carotid cavity cbct ce cerebellum cerebral cervical chest coil colon contrast cor cord coronal coronary cranial
cranium cspine ct cta ctv cyst delayed derived diaphragm diffusion disease dixon dose dual duodenum dw dwi dynamic
early echo edema elbow enhanced enhancement enhancing epi esophagus expiration external eye eyes fat fdg femoral
femur filtered finding first flair foot forearm frame fse full gallbladder ganglia gastric gland glands gradient gre
gross gtv hand head heart hepatic hilar hilum hip ileum iliac image images in inferior inspiration intensity
internal intestine intravenous inverse inversion iv ivc jejunum joint kernel kidney kidneys knee larynx lat late
lateral left leg lesion lesions liver lobe local localiser localizer lower lspine lumbar lung lungs lymph mandible
map mask mass max maximum mean measurement mediastinal mediastinum medium metastases metastasis mid middle min
minimum mip mm mpr mr mra mri muscle myocardium nac nasopharynx native neck necrosis negative no nodal node nodes
nodule nodules non noncontrast none not number oblique oesophagus of optic or oral orbit oropharynx out outer ovary
pancreas parallel parametric parotid patella pelvic pelvis perfusion pericardium peritoneum pet petct phantom
pharynx phase pituitary planning plasma pleura pleural positive post postcontrast posterior pre precontrast primary
prone prostate proton ptv pulmonary radiotherapy rec recon reconstruction rectum region renal research resolution
respiratory result rib ribs right sacrum sag sagittal sarcoma scan score scout se second seg segment segmentation
seminal sequence series short shoulder sigmoid single sinus sinuses skeleton skin skull soft spin spinal spine
spleen standard sternum stir stomach structure study subcutaneous sum superior supine suv t1 t1w t2 t2w test thick
thigh thin third thoracic thorax thymus thyroid tibia time tissue tof tongue topogram total trachea trunk tse tumor
tumors tumour tumours ultrasound uncorrected upper ureter urinary uterus vein veins venous ventral ventricle
ventricles vertebra vertebrae vesicles vessel vessels vibe view viewer volume volumetric water weighted whole
wholebody window with without wrist
"""
_KNOWN = frozenset(_KNOWN_TEXT.split())

#: Left, right and what scanners put around words.
_PART = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z]+)?|\d+(?:[.,]\d+)?|[^\W\d_]+|[/+*%.,:;()\[\]_-]")
#: Sizes and counts; a number of more digits could be a year or an identifier, and so could many numbers together.
_NUMBER = re.compile(r"\d{1,3}(?:[.,]\d{1,2})?")
_MOST_NUMBERS = 2


def cleaned(text: str) -> str:
    """What of a text is known to describe no person: known words and a short number or two, in their order."""
    parts = _PART.findall(text)
    numbers = sum(part[0].isdigit() for part in parts)
    kept = [part for part in parts if _harmless(part, numbers <= _MOST_NUMBERS)]
    return " ".join(kept) if any(part[0].isalpha() for part in kept) else ""


def _harmless(part: str, few: bool) -> bool:
    if part[0].isdigit():
        return few and bool(_NUMBER.fullmatch(part))
    return all(one in _KNOWN for one in part.lower().split("-"))
