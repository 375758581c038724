"""The model.toml of sts-petct: what its network expects, what its label means, and where its gate closes."""

from __future__ import annotations

import hashlib
from pathlib import Path

NAME = "sts-petct"
VERSION = "1.0.1"
SPACING_MM = 4.0
TILE = (56, 56, 56)


def write_bundle(folder: Path, *, sensitivity: str = "") -> None:
    """Write model.toml into a folder; a network that lies there is named by its digest."""
    network = folder / "model.onnx"
    digest = hashlib.sha256(network.read_bytes() if network.exists() else b"").hexdigest()
    stated = f'sensitivity = "{sensitivity}"\n' if sensitivity else ""
    text = f"""# Written by `python -m dicomnode.train.sts_petct`; CARD.md tells what the model is and is not.
[model]
name = "{NAME}"
version = "{VERSION}"
title = "Soft-tissue sarcoma on PET and CT, cropped round the tumour"
status = "demo"                    # demo | research | accepted; a demo cannot be accepted
task = "segment"
manufacturer = "dicomnode project"
licence = "CC-BY-4.0"
onnx = "model.onnx"
sha256 = "{digest}"
{stated}
[input.pet]                        # the first: results lie on its grid and are measured in its SUV
Modality = "PT"
# A zoomed head or heart is as small as a crop, and its uptake would be called a tumour.
BodyPartExamined = {{ not = {{ any_of = ["HEAD", "BRAIN", "SKULL", "HEART", "WHOLEBODY"] }}, or_missing = true }}

[input.ct]
Modality = "CT"

[[prepare]]
step = "gaussian"                  # what a voxel of {SPACING_MM:g} mm cannot hold would be noise
inputs = ["ct"]
sigma_mm = 1.5

[[prepare]]
step = "resample"                  # both, along the patient axes
spacing_mm = {SPACING_MM}

[[prepare]]
step = "clip"
inputs = ["pet"]
range = [0.0, 30.0]

[[prepare]]
step = "log"
inputs = ["pet"]
offset = 1.0

[[prepare]]
step = "scale"                     # log(1 + SUV) to 0..1; 3.4339872 is log(31)
inputs = ["pet"]
range = [0.0, 3.4339872]

[[prepare]]
step = "clip"
inputs = ["ct"]
range = [-160.0, 240.0]

[[prepare]]
step = "scale"
inputs = ["ct"]
range = [-160.0, 240.0]

[tile]
shape = {list(TILE)}               # (slice, row, column)
overlap = 0.25
batch = 1
mirror = [2]                       # the mean of both sides

[output]
activation = "softmax"             # channel 0 is background

[[post]]
step = "argmax"

[[post]]
step = "keep_largest"              # one tumour is what a crop was made round

[[post]]
step = "minimum_volume"
volume_ml = 2.0

[[post]]
step = "fill_holes"

[valid]                            # of the PET; the corpus ends 5 cm from the tumour, a whole body is something else
field_of_view_mm = [80.0, 340.0]
coverage_mm = [80.0, 420.0]
pixel_spacing_mm = [2.0, 6.0]
slice_spacing_mm = [2.0, 5.0]
orientations = ["axial"]

[valid.ct]
orientations = ["axial"]
pixel_spacing_mm = [0.5, 6.0]
slice_spacing_mm = [0.5, 5.0]
companion_coverage = 0.85          # share of the PET that the CT has to cover

[plausible]
volume_ml = [{{ segment = 1, range = [5.0, 2500.0] }}]

[radiomics]                        # of the PET
[radiomics.settings]
binWidth = 0.5                     # SUV
resampledPixelSpacing = [4.0, 4.0, 4.0]
interpolator = "sitkLinear"

[[segment]]
number = 1
label = "Soft-tissue tumour"
category = {{ value = "49755003", scheme = "SCT", meaning = "Morphologically Abnormal Structure" }}
type = {{ value = "108369006", scheme = "SCT", meaning = "Neoplasm" }}
subject = "lesion"
radiomics = true
color_rgb = [144, 238, 144]
"""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.toml").write_text(text, encoding="utf-8")
