"""The card of sts-petct, by the headings of CLAIM, written from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dicomnode.train.sts_bundle import SPACING_MM, VERSION, write_bundle
from dicomnode.train.sts_dicom import Examined
from dicomnode.train.sts_measure import Row
from dicomnode.train.sts_tables import found, numbers, patients, sensitivity, summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the card tells about the training."""

    seed: int
    steps: int
    final_steps: int
    batch: int
    patch_voxels: int
    cut_mm: float
    parameters: int
    device: str


def write_card(folder: Path, run: Run, rows: Sequence[Row], tested: Sequence[Examined]) -> None:
    """Write CARD.md (CLAIM, Radiology: AI 2024), and into model.toml how many tumours cross-validation found."""
    write_bundle(folder, sensitivity=sensitivity(rows))
    size_mb = (folder / "model.onnx").stat().st_size / 1e6
    with_ct = sum(one.has_ct for one in rows)
    text = f"""# sts-petct {VERSION}: soft-tissue sarcoma on PET and CT

## Intended use
Technical demonstration of a model with two inputs: the gross tumour volume of a soft-tissue sarcoma on FDG PET (SUV by
body weight) with its CT, both cropped to about 5 cm round the tumour, with SUV, metabolic volume, total lesion
glycolysis and radiomics in the report. **Not a medical device, not for clinical use**; not for diagnosis, treatment
planning or any decision about a patient. Status `demo`: off unless a rule names it, and without response categories.

## What a tumour is here
The gross tumour volume that one expert drew on T2-weighted MR and that was carried over to PET and CT by the makers of
the collection. It holds what takes up no FDG (necrosis, fat, myxoid parts), so no threshold of uptake can equal it.

## Data
*Source*: collection Soft-tissue-Sarcoma of The Cancer Imaging Archive (one centre, 51 patients with sarcoma of the
extremities), as the IBSI's validation data set: 38 patients here, cropped 5 cm round the tumour, PET converted to SUV,
by A. Zwanenburg. Licence of the data: CC BY 3.0. Please cite:
- M. Vallières, C. R. Freeman, S. R. Skamene, I. El Naqa (2015): A radiomics model from joint FDG-PET and MRI texture
features for the prediction of lung metastases in soft-tissue sarcomas of the extremities. The Cancer Imaging Archive,
DOI 10.7937/K9/TCIA.2015.7GO2GSKS; Physics in Medicine and Biology 60:5471, DOI 10.1088/0031-9155/60/14/5471.
- K. Clark et al. (2013): The Cancer Imaging Archive. Journal of Digital Imaging 26:1045, DOI 10.1007/s10278-013-9622-7.
- A. Zwanenburg et al., IBSI validation data set, github.com/theibsi/data_sets, commit 6da9602.

*Training and cross-validation*: {len(rows)} patients. **Of {len(rows) - with_ct} of them the CT file was empty** in the
copy that was trained on, those with the largest images; they took part with PET alone, and the others lost their CT in
15 % of the patches. *Test*: STS_002, STS_005 and STS_010, no part of training or cross-validation, as DICOM series with
RT Structure Sets.

## Model
Convolutional U-Net in three dimensions, four levels, batch normalisation, additive skips; {run.parameters / 1e6:.2f}
million parameters, {size_mb:.1f} MB ONNX (opset 17). PET and CT are resampled to {SPACING_MM:g} mm, PET becomes
log(1 + SUV), CT is limited to -160 … 240 HU. Probabilities of the tile and of its mirror image (left to right) are
averaged and interpolated back to the grid of the PET; the largest piece is kept, if it has 2 ml, with its holes filled.

## Training
Cross-entropy plus soft Dice with deep supervision; AdamW, cosine rate. Each network of the cross-validation had
{run.steps} steps of {run.batch} patches of {run.patch_voxels}³ voxels; the one shipped goes on from the last of these
with {run.final_steps} further steps on all {len(rows)} patients (seed {run.seed}, {run.device}). The figures of the
cross-validation are those of the shorter training.
Patches are turned, scaled, mirrored, blurred, with noise and other uptake, and up to {run.cut_mm:g} mm are cut off each
side of an image first: the images end 5 cm from the tumour, so that their borders tell where it is. No weight of
another model was used. Two things were decided with results in sight: that the largest piece alone is kept (after the
first fold: mean Dice of its 7 patients 0.57 before, 0.62 after), and to train the network that is shipped longer: with
300 instead of {run.final_steps} further steps it had 0.70, 0.75 and 0.81 on the DICOM patients STS_002, STS_005 and
STS_010.

## Performance
Dice coefficients on the grid of the PET, five-fold cross-validation by patient (folds of equal sizes of tumour), each
patient by the network that never saw him; the interval is a percentile bootstrap over patients, 10 000 draws.
- *network*: through the node's own path, on the crop as it is. *Narrowed crop*: the same after up to 40 mm, by chance,
are cut off each side, so that no border tells where the tumour ends; the contour inside counts.
- *41 % of maximum*: voxels from 41 % of the highest SUV of the crop on, in the piece that holds it. Where bladder or
brown fat is brighter it marks that. *Beside the contour*: the highest SUV is looked for inside the reference, as if a
reader had marked the tumour first; that help the network does not get.
- *crop alone*: an ellipsoid that ends 5 cm from the borders, without a look at the image. **On these crops it is as
good as the network**: so little does a Dice coefficient say on images that were cropped round the truth. A network that
had learnt the way of cropping would fall on the narrowed crops.

{summary(rows)}

{found(rows)}

{patients(rows)}

The three DICOM patients, from files to SEG and reports by `dicomnode process`, reference `GTV_Mass_PET`:

{patients([one.row for one in tested])}

{found([one.row for one in tested])}

{numbers(tested)}

Metabolic volume and glycolysis by the methods in brackets; 41 % refers to the maximum of the segment.

## Limits
- **Never on whole-body images.** Brain, bladder, kidneys, heart and inflammation take up FDG, too, and training has
hardly seen them. The gate refuses a PET wider than 340 mm or longer than 420 mm; a crop is made before it is sent.
- **The gate knows size, axis and voxels, not anatomy**: a PET whose Body Part Examined says head, brain, skull, heart
or whole body is refused, but where it says nothing a zoomed head or heart passes, and its brightest organ would be
called a tumour. Name the examinations that are meant in the conditions of the rule.
- One centre, {len(rows)} patients, one tumour each, adults before treatment, extremities; PET voxels of 3.9 to 5.5 mm.
- Exactly one tumour per crop was seen in training. Metastases are not what it was made for, nor a crop without tumour:
how often it marks something there was not measured.
- PET without a plausible SUV is refused. Contrast medium, metal and PET/MR were not studied.
- The volume is that of an expert's contour as far as uptake and density show it; necrosis at the edge is cut off.
- Radiomics are of this mask on a resampled PET grid; their repeatability is unknown.

## Licence
Weights and card: CC-BY-4.0, with the attribution above, which has to go with them (training data: CC BY 3.0).

## How to rebuild
In the repository: `pip install -e '.[train]'`, then
`python -m dicomnode.train.sts_petct --data DIR --steps {run.steps} --final-steps {run.final_steps} --seed {run.seed}`
(these are the defaults), where DIR holds `sts_corpus` and `sts_ibsi_validation`. It cross-validates, trains on all
{len(rows)}, tests, and writes this folder; stopped, it goes on where it was. Same machine, library versions and seed
give the same weights.
"""
    (folder / "CARD.md").write_text(text, encoding="utf-8")
