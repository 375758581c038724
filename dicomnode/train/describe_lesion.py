"""Words that go with the weights of lung-lesion-ct: its model.toml and its card, written from what was measured."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dicomnode.train.describe import Run, lung_segments

APART = 8
"""So many lesions get a segment each; the rest is listed."""
FIRST = 3
_COLOURS = (
    (230, 60, 60), (240, 150, 40), (235, 220, 60), (90, 200, 90), (60, 190, 220), (90, 110, 230), (190, 90, 220),
    (240, 120, 180),
)  # fmt: skip


def write_model_toml(
    folder: Path,
    version: str,
    *,
    spacing_mm: tuple[float, float, float],
    clip_hu: tuple[float, float],
    tile: tuple[int, int, int],
    least: float,
    sensitivity: str,
) -> None:
    """Write model.toml beside model.onnx, whose digest it states; voxels count from the probability `least` on."""
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    text = f"""# Written by `python -m dicomnode.train.lung_lesion_ct`; CARD.md tells what the model is and is not.
[model]
name = "lung-lesion-ct"
version = "{version}"
title = "Candidates for lesions of the lung on chest CT"
status = "demo"                    # cannot be accepted
task = "segment"
manufacturer = "dicomnode project"
licence = "Apache-2.0"
onnx = "model.onnx"
sha256 = "{digest}"
sensitivity = "{sensitivity}"

[input.ct]                         # which series may feed it; DICOM keywords, operators as in rules
Modality = "CT"

[[prepare]]
step = "resample"
spacing_mm = {list(spacing_mm)}  # (slice, row, column), along the patient axes
outside = -1024.0  # value where there is no image

[[prepare]]
step = "clip"
range = {list(clip_hu)}

[[prepare]]
step = "scale"                     # to 0..1
range = {list(clip_hu)}

[tile]
shape = {list(tile)}             # (slice, row, column)
overlap = 0.25
batch = 1

[output]
activation = "softmax"             # channel 0 is background

[[post]]
step = "threshold"
threshold = [0.5, 0.5, {least}]

[[post]]
step = "keep_largest"
segments = [1, 2]

[[post]]
step = "fill_holes"

[[post]]
step = "minimum_volume"            # a ball of 6 mm
segments = [{FIRST}]
volume_ml = 0.11

[[post]]
step = "lesions"                   # one segment each, the largest first, with the mean probability of its voxels
segments = [{FIRST}]
into = {list(range(FIRST + 1, FIRST + APART))}
certainty = true

[measure]
lungs = [1, 2]                     # the distance to the pleura is told; no criteria, so no response categories

[valid]                            # the range of inputs it was made for
slice_spacing_mm = [0.4, 6.0]
pixel_spacing_mm = [0.4, 1.6]
minimum_slices = 20
orientations = ["axial"]
body_parts = [                     # an absent Body Part Examined passes (PS3.16 Annex L)
    "*ABD*", "*CHEST*", "*LUNG*", "*THORA*", "*TRUNK*", "HEART", "MEDIASTINUM", "RIB", "STERNUM", "TSPINE", "WHOLEBODY",
]

[plausible]
right_of = [[1, 2]]                # segment 1 lies at smaller x (LPS) than segment 2
present = [1, 2]                   # there need be no lesion
whole = {list(range(FIRST, FIRST + APART))}
{lung_segments()}{_lesions()}"""
    (folder / "model.toml").write_text(text, encoding="utf-8")


def _lesions() -> str:
    return "".join(
        f"""
[[segment]]
number = {FIRST + index}
label = "Lesion {index + 1}"
category = {{ value = "49755003", scheme = "SCT", meaning = "Morphologically Abnormal Structure" }}
type = {{ value = "52988006", scheme = "SCT", meaning = "Lesion" }}
anatomic_region = {{ value = "39607008", scheme = "SCT", meaning = "Lung" }}
color_rgb = {list(_COLOURS[index])}
subject = "lesion"
radiomics = true
{"derived = true" if index else ""}
"""
        for index in range(APART)
    ).replace("\n\n\n", "\n\n")


def write_card(folder: Path, run: Run, performance: str, command: str, least: float) -> None:
    """Write CARD.md, with the headings of the CLAIM checklist (Radiology: AI 2024) that apply to a model."""
    size_mb = (folder / "model.onnx").stat().st_size / 1e6
    text = f"""# lung-lesion-ct {run.version}: candidates for lesions of the lung on chest CT

## Intended use
Technical demonstration: places on axial chest CT that a reader may want to look at, each with a mask, diameters and
a score. **Not a medical device; not for clinical use**; not for screening, diagnosis, staging, response assessment
or any decision about a patient. Status *demo*: it runs only where a rule names it, and gives no response
categories. That nothing was marked says nothing: lesions are missed, see the tables below.

## What a lesion is here
Solid, part-solid and pure ground-glass nodules, spiculated, cavitated and pleural ones and masses that grow into
the mediastinum, from 5 mm, as drawn by the phantoms: the mask holds cavity and ground glass, not the spicules. Not
lesions: effusion, collapsed lung, fibrosis, consolidation that holds air, thick pleura, plates of collapsed lung,
vessels. Lymph nodes are not sought. The right and the left lung (without the lesions) are shown, too: the distance
to the pleura is measured to them. The score, *Certainty of Finding* (111012, DCM), is the mean of the network's
probabilities over the voxels of the candidate. It is not calibrated: 80 % does not mean four right ones in five.

## Data
*Training*: synthetic only. Every tile shows a procedurally drawn thorax (`dicomnode/train/phantoms.py`) in which
lesions were drawn (`dicomnode/train/lesions.py`), with their mask known: kinds as above, 5 to 115 mm, lobulated,
with dead centres, calcium, levels of fluid, collapse behind them; beside emphysema, fibrosis, effusion, ground
glass and consolidation; another scan (thickness, kernel, noise, streaks, field of view) for every tile. It begins
with the weights of `lung-ct`, which were made from phantoms as well. No image of any person was trained on.

*Evaluation*: held-out phantoms (seeds that training never uses; the first without lesions), and two public
patients: NSCLC-Radiomics LUNG1-002 (CC BY-NC 3.0; the tumour as contoured for radiotherapy) and the lung bases of
CRLM-CT-1004 (CC BY 4.0; without reference). Neither was trained on and neither is distributed; earlier
attempts were looked at on both, and the method was changed after they had failed, so that neither is an independent
validation. The limit of probability is {least:g}.

## Reference standard
Of phantoms the mask as drawn. Of LUNG1-002 one contour, GTV-1, by one group, with all soft tissue that belongs to
the tumour mass in its makers' eyes. A candidate and a lesion belong together when they share a tenth of the smaller
of the two.

## Model
Convolutional U-Net as of `lung-ct` with a fourth channel; {run.parameters / 1e6:.2f} million parameters,
{size_mb:.1f} MB ONNX (opset 17). Tiles of 3 × 2 × 2 mm must be multiples of (4, 32, 32) voxels (slice, row,
column).

## Training
Cross-entropy in which voxels of small lesions weigh more, plus soft Dice, with deep supervision; AdamW, cosine
rate; the two finest levels of the encoder stay as they are; {run.steps} steps of {run.batch} tile in
{run.minutes:.0f} minutes on {run.device} of a machine that had other work; seed {run.seed}. {run.note}

## Performance
{performance}

## Limits
- Phantoms are no patients, and one patient is no validation. The figures on phantoms tell that the network learnt
its task, not how it does on people.
- Below 6 mm nothing is kept; the grid of 3 × 2 × 2 mm blurs diameters below 10 mm.
- Expect false positives at hila, in consolidation, at the diaphragm and in scars; and misses in collapsed lung, in
effusion and beside the heart. The border of a tumour towards airless lung is a guess.
- Adult chest CT, axial, slices 0.4 to 6 mm apart, pixels 0.4 to 1.6 mm, at least 20 slices. The {APART} largest
candidates get a segment each, the rest is listed in the remarks.

## Licence
Weights and card: Apache-2.0, like the code that made every training image.

## How to rebuild
In the repository: `pip install -e '.[train]'`, then
`{command}`.
A run that `--steps` makes in one go can be repeated exactly on the same machine and library versions; one that was
resumed with another number of steps cannot.
"""
    (folder / "CARD.md").write_text(text, encoding="utf-8")
