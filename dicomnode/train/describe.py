"""Words that go with the weights: the model.toml and the card of lung-ct, written from what was measured."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the card tells about a training run."""

    seed: int
    steps: int
    minutes: float
    batch: int
    parameters: int
    device: str
    note: str
    version: str = "1.0.0"


def write_model_toml(
    folder: Path,
    version: str,
    *,
    spacing_mm: tuple[float, float, float],
    clip_hu: tuple[float, float],
    tile: tuple[int, int, int],
    overlap: float = 0.25,
) -> None:
    """Write model.toml beside model.onnx, whose digest it states."""
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    text = f"""# Written by `python -m dicomnode.train.lung_ct`; CARD.md tells what the model is and is not.
[model]
name = "lung-ct"
version = "{version}"
title = "Left and right lung on chest CT"
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
shape = {list(tile)}             # (slice, row, column)
overlap = {overlap}
batch = 1

[output]
activation = "softmax"             # channel 0 is background

[[post]]
step = "keep_largest"

[[post]]
step = "fill_holes"

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
volume_ml = [
    {{ segment = 1, range = [200.0, 5500.0] }},
    {{ segment = 2, range = [200.0, 5500.0] }},
]
{lung_segments()}"""
    (folder / "model.toml").write_text(text, encoding="utf-8")


def lung_segments() -> str:
    """Segments 1 and 2 of a model.toml: the right and the left lung."""
    return "".join(
        f"""
[[segment]]
number = {number}
label = "{side} lung"
category = {{ value = "91723000", scheme = "SCT", meaning = "Anatomical Structure" }}
type = {{ value = "39607008", scheme = "SCT", meaning = "Lung" }}
laterality = {{ value = "{code}", scheme = "SCT", meaning = "{side}" }}
color_rgb = {color}
"""
        for number, side, code, color in (
            (1, "Right", "24028007", [197, 165, 145]),
            (2, "Left", "7771000", [172, 138, 115]),
        )
    )


def write_card(folder: Path, run: Run, performance: str, command: str) -> None:
    """Write CARD.md, with the headings of the CLAIM checklist (Radiology: AI 2024) that apply to a model."""
    size_mb = (folder / "model.onnx").stat().st_size / 1e6
    text = f"""# lung-ct {run.version}: left and right lung on chest CT

## Intended use
Research and technical demonstration: the right and the left lung on axial chest CT, with or without contrast
medium, as a mask to measure in or as a first step for other models. **Not a medical device**; not for
diagnosis, treatment planning or any decision about a patient. Every result needs a reader who looks at the
contour.

## What a lung is here
Air-containing lung with its vessels and small bronchi. Not part of it: trachea, main bronchi, mediastinum and
hilar soft tissue, pleural effusion, airless (collapsed) lung, and solid masses of 30 mm or more. Smaller
nodules, ground glass, fibrosis and consolidation that still holds air belong to the lung. The border lies
0.5 mm outside the pleural surface: a contour is drawn through the outermost pixels that are not yet wall and
encloses them whole, which is about half a pixel outside the half-way point between lung and wall.

## Data
*Training*: synthetic only. Each tile comes from its own procedurally drawn thorax
(`dicomnode/train/phantoms.py`): body outline, arms, breasts, fat and muscle, ribs, spine, scapulae, heart,
great vessels, airways, diaphragm, abdominal organs and bowel gas, couch; vessel trees, fissures, bronchi;
masses, nodules, effusion, collapse, emphysema, fibrosis, ground glass, consolidation, a missing lung; contrast,
kernels, correlated noise, streaks, slice thickness, fields of view, partial coverage. No image of any person
was trained on.

*Evaluation*: held-out phantoms (seeds that training never uses), and one public patient with expert
radiotherapy contours (NSCLC-Radiomics LUNG1-002, CC BY-NC 3.0, not distributed). No weight was trained on this
patient, but his measurement took part in two decisions: to train longer, and to draw the border 0.5 mm instead
of 1 mm outside the pleural surface. It is therefore no independent validation.

## Model
Convolutional U-Net, six levels, 1×3×3 convolutions in-plane and 3×1×1 through the slices at the coarser levels,
residual blocks, additive skips; {run.parameters / 1e6:.2f} million parameters, {size_mb:.1f} MB ONNX (opset
17), normalisation folded in. Tiles must be multiples of (4, 32, 32) voxels (slice, row, column).

## Training
Cross-entropy plus soft Dice with deep supervision; AdamW, cosine rate; {run.steps} steps of {run.batch} tiles
in {run.minutes:.0f} minutes on {run.device}; seed {run.seed}. {run.note}

## Performance
Dice coefficients, medians over the row with the lowest in brackets; the seconds are wall-clock on a
busy machine of 2 CPU cores, resampling included. The baseline is thresholding at -400 HU inside the body
without the trachea, two largest parts, closed by 6 mm, holes filled. Held-out seed 5 has a right lung wholly
without air, where a single marked voxel makes the coefficient 0.

{performance}

## Limits
- One real patient is no validation. Expect failures where reality is unlike the phantoms: situs inversus,
pneumothorax, after resection of a lobe or lung, in children, large hernias, metal, strong motion, prone or
lateral position.
- Adult chest CT, axial, slices 0.4 to 6 mm apart, pixels 0.4 to 1.6 mm, at least 20 slices.
- The border towards airless lung, effusion and large masses is a decision of the phantoms, not of a reader.
- It tells sides by anatomy and position; the node checks that the right lung lies at smaller x (LPS) than the
left.

## Licence
Weights and card: Apache-2.0, like the code that made every training image.

## How to rebuild
In the repository: `pip install -e '.[train]'`, then
`{command}`.
With `--steps` instead of `--minutes` the run is reproducible on the same machine and library versions.

"""
    (folder / "CARD.md").write_text(text, encoding="utf-8")
