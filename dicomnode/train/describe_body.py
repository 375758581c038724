"""Words that go with the weights of body-ct: its model.toml and its card, written from what was measured."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dicomnode.train.describe import Run


def write_model_toml(
    folder: Path,
    version: str,
    *,
    spacing_mm: tuple[float, float, float],
    clip_hu: tuple[float, float],
    tile: tuple[int, int, int],
) -> None:
    """Write model.toml beside model.onnx, whose digest it states."""
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    text = f"""# Written by `python -m dicomnode.train.body_ct`; CARD.md tells what the model is and is not.
[model]
name = "body-ct"
version = "{version}"
title = "Body without couch on CT of the trunk"
status = "research"                # demo | research | accepted
task = "segment"
manufacturer = "dicomnode project"
licence = "Apache-2.0"
onnx = "model.onnx"
sha256 = "{digest}"

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
shape = {list(tile)}              # (slice, row, column)
overlap = 0.25
batch = 1

[output]
activation = "softmax"             # channel 0 is background

[[post]]
step = "minimum_volume"            # arms may be pieces of their own
volume_ml = 100.0

[[post]]
step = "fill_holes"

[valid]                            # the range of inputs it was made for
slice_spacing_mm = [0.4, 10.0]
pixel_spacing_mm = [0.4, 2.0]
minimum_slices = 8
orientations = ["axial"]
body_parts = [                     # an absent Body Part Examined passes (PS3.16 Annex L)
    "*ABD*", "*CHEST*", "*LUNG*", "*THORA*", "*TRUNK*", "HEART", "LIVER", "MEDIASTINUM", "RIB", "STERNUM", "TSPINE",
    "WHOLEBODY",
]

[plausible]
volume_ml = [{{ segment = 1, range = [1000.0, 150000.0] }}]
whole = []                         # a body goes on beyond the image

[[segment]]
number = 1
label = "Body"
category = {{ value = "91723000", scheme = "SCT", meaning = "Anatomical Structure" }}
type = {{ value = "38266002", scheme = "SCT", meaning = "Entire body" }}
color_rgb = [177, 122, 101]
"""
    (folder / "model.toml").write_text(text, encoding="utf-8")


def write_card(folder: Path, run: Run, performance: str, command: str) -> None:
    """Write CARD.md, with the headings of the CLAIM checklist (Radiology: AI 2024) that apply to a model."""
    size_mb = (folder / "model.onnx").stat().st_size / 1e6
    text = f"""# body-ct {run.version}: the body without the couch on CT of the trunk

## Intended use
Research and technical demonstration: the patient's body on axial CT of chest and upper abdomen, for previews, for
gates, and as a region to normalise in. **Not a medical device; not for clinical use**; not for planning a treatment
or for any decision about a patient.

## What the body is here
Everything within the skin, with lungs, bowel gas and airways, and with arms that are in the image. Not part of it:
couch, cushions, blankets, leads outside the body, and what the field of view cuts off.

## Data
*Training*: synthetic only. Every patient was drawn (`dicomnode/train/phantoms.py`) with outline, breasts, arms,
couch, cushion and sheet, and scanned {_REUSED} times with other noise, kernels, slice thickness and fields of view.
No image of any person was trained on.

*Evaluation*: held-out phantoms (seeds that training never uses), whose truth is known, and public patients whose
body nobody has drawn; there only the agreement with thresholding can be told. No decision was taken on them.

## Reference standard
Of phantoms the outline as drawn. The threshold is the node's own step `body_mask` (-400 HU, couch thinner than 10
mm).

## Model
Convolutional U-Net as of `lung-ct`, narrower; {run.parameters / 1e6:.2f} million parameters, {size_mb:.2f} MB ONNX
(opset 17), normalisation folded in. Tiles of 6 × 4 × 4 mm must be multiples of (4, 32, 32) voxels (slice, row,
column).

## Training
Cross-entropy plus soft Dice with deep supervision; AdamW, cosine rate; {run.steps} steps of {run.batch} tiles in
{run.minutes:.0f} minutes on {run.device} of a machine that had other work; seed {run.seed}. {run.note}

## Performance
Dice coefficients, medians over the row with the lowest in brackets. On phantoms thresholding does better than the
network: where a couch is thin and nothing lies against the skin, prefer the step `body_mask`.

{performance}

## Limits
- No person drew the body of a real patient for this: what looks right in a picture was not measured.
- The grid is coarse: skin folds, fingers and thin gaps between arm and trunk are blurred.
- Head alone, pelvis and legs, children, prone or lateral position and open wounds were not drawn.

## Licence
Weights and card: Apache-2.0, like the code that made every training image.

## How to rebuild
In the repository: `pip install -e '.[train]'`, then
`{command}`.
A run that `--steps` makes in one go can be repeated exactly on the same machine and library versions; one that was
resumed with another number of steps cannot.
"""
    (folder / "CARD.md").write_text(text, encoding="utf-8")


_REUSED = 6
