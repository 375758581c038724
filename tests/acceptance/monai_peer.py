"""Run by an interpreter that has monai: trains a tiny network for seconds, writes its bundle, and predicts with it.

The one argument is a JSON file: `do` is `train` or `predict`, the rest stands at the functions.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

NETWORK = {
    "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "channels": [8, 16, 32],
    "strides": [2, 2], "num_res_units": 1, "norm": "instance",
}  # fmt: skip


def train(task: dict[str, Any]) -> None:
    """Train on `images` and `labels` after `preprocessing`, and write a bundle with `inferer` and `postprocessing`."""
    import torch

    chains: Any = importlib.import_module("monai.transforms")
    made_of: Any = importlib.import_module("monai.bundle").ConfigParser
    compared: Any = importlib.import_module("monai.losses").DiceCELoss
    torch.manual_seed(0)
    torch.set_num_threads(1)
    # Images and labels are cut into tiles at the same places: both whole.
    kept = [one for one in task["preprocessing"]["transforms"] if one["_target_"] != "CropForegroundd"]
    parser = made_of({"preprocessing": {"_target_": "Compose", "transforms": kept}, "network_def": NETWORK})
    image_chain = parser.get_parsed_content("preprocessing")
    both = [chains.LoadImaged(["label"]), chains.EnsureChannelFirstd(["label"])]
    for one in task["preprocessing"]["transforms"]:
        if one["_target_"] == "Orientationd":
            both.append(chains.Orientationd(["label"], axcodes=one["axcodes"]))
        if one["_target_"] == "Spacingd":
            both.append(chains.Spacingd(["label"], pixdim=one["pixdim"], mode="nearest"))
    chain = chains.Compose(both)
    cases = []
    for image, label in zip(task["images"], task["labels"], strict=True):
        made = image_chain({"image": image})
        told = chain({"label": label})["label"]
        if told.shape != made["image"].shape:
            raise ValueError(f"{tuple(told.shape)} and {tuple(made['image'].shape)}")
        cases.append((made["image"].as_tensor()[None], told.as_tensor()[None]))
    network = parser.get_parsed_content("network_def")
    optimiser, loss = torch.optim.Adam(network.parameters(), 5e-3), compared(to_onehot_y=True, softmax=True)
    generator = torch.Generator().manual_seed(0)
    for step in range(task["iterations"]):
        image, label = cases[step % len(cases)]
        spare = [max(0, side - 32) for side in image.shape[2:]]
        start = [int(torch.randint(0, most + 1, (1,), generator=generator)) for most in spare]
        part = (..., *(slice(begin, begin + 32) for begin in start))
        image, label = image[part], label[part]
        wide = [(0, 32 - side) for side in reversed(image.shape[2:])]
        flat = [count for pair in wide for count in pair]
        image, label = torch.nn.functional.pad(image, flat), torch.nn.functional.pad(label, flat)
        optimiser.zero_grad()
        loss(network(image), label).backward()
        optimiser.step()
    folder = Path(task["bundle"])
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    config = {
        "imports": ["$import glob"],
        "bundle_root": ".",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": NETWORK,
        "network": "$@network_def.to(@device)",
        "preprocessing": task["preprocessing"],
        "inferer": task["inferer"],
        "postprocessing": task["postprocessing"],
    }
    made_of.export_config_file(config, str(folder / "configs" / "inference.json"))
    image = {"type": "image", "format": "hounsfield", "modality": "CT", "num_channels": 1,
             "channel_def": {"0": "image"}}  # fmt: skip
    labels = {"0": "background", "1": "lungs", "2": "bones"}
    metadata = {
        "version": "0.1.0", "description": "Lungs and bones of phantoms.", "authors": "tests",
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": {"channel_def": labels}}},
    }  # fmt: skip
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))


def predict(task: dict[str, Any]) -> None:
    """Predict `image` with the bundle in `bundle` to `out`, an array in the axes of the file."""
    import numpy as np
    import torch

    made_of: Any = importlib.import_module("monai.bundle").ConfigParser
    torch.set_num_threads(1)
    folder = Path(task["bundle"])
    parser = made_of()
    parser.read_config(str(folder / "configs" / "inference.json"))
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(folder / "models" / "model.pt", weights_only=True))
    data = parser.get_parsed_content("preprocessing")({"image": task["image"]})
    with torch.inference_mode():
        data["pred"] = parser.get_parsed_content("inferer")(data["image"][None], network)[0]
    found = parser.get_parsed_content("postprocessing")(data)["pred"]
    np.save(task["out"], found[0].numpy().astype(np.uint8))


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    {"train": train, "predict": predict}[asked["do"]](asked)
