"""Imports an nnU-Net v2 result folder as a bundle, and holds the two against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dicomnode.domain.model import ModelSpec
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions
from dicomnode.train.importing import nnunet_bundle as bundle
from dicomnode.train.importing.codes import codes_of, read_codes
from dicomnode.train.importing.compare import Difference, compare, phantom, run_through
from dicomnode.train.importing.export import export
from dicomnode.train.importing.faults import refuse
from dicomnode.train.importing.flattened import flatten_convolutions
from dicomnode.train.importing.nnunet_card import Import, card
from dicomnode.train.importing.nnunet_folder import FINAL
from dicomnode.train.importing.nnunet_measured import others
from dicomnode.train.importing.nnunet_network import UNet
from dicomnode.train.importing.nnunet_plans import Plan
from dicomnode.train.importing.nnunet_source import Source, read_source
from dicomnode.train.importing.written import new_bundle, sha256_of, write_model_toml

Floats = npt.NDArray[np.float32]

#: Where in a bundle the first stage of a cascade lies.
FIRST_STAGE = "lowres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the folder does not tell, or tells of several.

    Attributes
    ----------
    codes
        A table of codes (`codes.read_codes`).
    orientation
        Directions of growing slice, row and column in the training images (`reorient`), or `source` for those of the
        series; empty: as nnU-Net's reader of these plans had them.
    modalities
        DICOM Modality of every channel, in order; guessed where empty.
    mirror
        Whether tiles are mirrored along the axes that training allowed, which takes up to eight times as long.
    processor
        Whether networks are written for a node without a graphics card (`flattened`).
    """

    name: str
    models: Path
    codes: Path | None = None
    configuration: str = ""
    folds: Sequence[str] = ()
    checkpoint: str = FINAL
    orientation: str = ""
    modalities: Sequence[str] = ()
    licence: str = ""
    mirror: bool = True
    processor: bool = False


def import_nnunet(source: Path, options: Options, say: Callable[[str], None]) -> Path:
    """Make the bundle `options.models/options.name` of a result folder; nothing stays of one that fails.

    No code of the source is run: networks are built here from its plans, checkpoints are read without unpickling.

    Parameters
    ----------
    say
        Told what has been found, line by line.

    Raises
    ------
    ConfigError
        If the source is not what it should be, holds what a bundle cannot say, or a label has no code.
    ModelError
        If the bundle answers otherwise than its source.
    """
    with new_bundle(options.models, options.name) as draft:
        read = read_source(source, options.configuration, options.folds, options.checkpoint)
        if options.modalities and len(options.modalities) != len(read.channels):
            named = ", ".join(read.channels)
            refuse("--modality", [*options.modalities], f"needed one for each of {named}, in this order")
        own = read_codes(options.codes) if options.codes is not None else {}
        segments = bundle.segment_tables(read.labels, codes_of(read.labels.parts, own))
        if read.before is not None:
            (draft / FIRST_STAGE).mkdir()
            first = replace(options, name=f"{options.name}-{FIRST_STAGE}")
            _write(draft / FIRST_STAGE, read.before, first, segments)
        _write(draft, read, options, segments)
        spec = load_bundle(draft)
        before = None
        if read.before is not None and spec.cascade is not None:
            found = _compared(read.before, spec.cascade.model, f"{read.plan.previous}, ", say)
            before = _import(read.before, options, found, None)
        differences = _compared(read, spec, "", say)
        hounsfield = "CTNormalization" in read.plan.schemes
        labels = run_through(spec, Sessions(device="cpu"), phantom(*_scene(read.plan), hounsfield=hounsfield))
        say(f"the whole bundle ran on a phantom and found there: {', '.join(labels) or 'nothing'}")
        (draft / "CARD.md").write_text(card(_import(read, options, differences, before)), encoding="utf-8")
    target = options.models / options.name
    say(f"{target} is a bundle now; its card names what is missing before anybody may rely on it")
    return target


def _write(folder: Path, read: Source, options: Options, segments: Sequence[Mapping[str, Any]]) -> None:
    """Networks and model.toml of one stage."""
    folds = []
    for fold, network in read.networks.items():
        onnx = "model.onnx" if len(read.networks) == 1 else f"fold_{fold}.onnx"
        export(network, folder / onnx, len(read.channels) + len(read.seen), read.plan.patch)
        if options.processor:
            flatten_convolutions(folder / onnx)
        folds.append({"onnx": onnx, "sha256": sha256_of(folder / onnx)})
    remark = "Imported from nnU-Net v2; CARD.md tells what is known of the model and what is missing."
    write_model_toml(folder, _tables(read, options, folds, segments), remark)


def _tables(
    read: Source, options: Options, folds: Sequence[Mapping[str, str]], segments: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    plan = read.plan
    names = bundle.input_names(read.channels)
    network = folds[0] if len(folds) == 1 else {"fold": folds}
    tables: dict[str, Any] = {
        "model": {
            "name": options.name,
            "version": "1.0.0",
            "title": f"{plan.dataset_name or options.name} ({plan.configuration})"[-64:],
            "status": "research",
            "task": "segment",
            "manufacturer": "imported from nnU-Net v2",
            "licence": options.licence or "not stated",
            **network,
        },
        "input": {
            name: {"Modality": modality} for name, modality in zip(names, _modalities(read, options), strict=True)
        },
        "prepare": bundle.prepare_steps(plan, names, _orientation(plan, options)),
        "tile": bundle.tile_table(plan, _mirror(read, options)),
        "output": bundle.output_table(plan, read.labels),
        "cascade": {"folder": FIRST_STAGE, "channels": read.seen} if read.before is not None else {},
        "post": [*bundle.post_steps(read.labels), *read.cleaning],
        "segment": segments,
    }
    return {name: table for name, table in tables.items() if table}


def _compared(read: Source, spec: ModelSpec, stage: str, say: Callable[[str], None]) -> list[Difference]:
    """Both runtimes, fold by fold."""
    sessions = Sessions(device="cpu")
    differences = []
    for (fold, network), weights in zip(read.networks.items(), spec.weights, strict=True):
        differences.append(compare(_answering(network, len(read.plan.patch)), spec, weights, sessions))
        say(f"{stage}fold {fold}: PyTorch and onnxruntime on the same input: {differences[-1]}")
    return differences


def _answering(network: UNet, dimensions: int) -> Callable[[Floats], Floats]:
    def answer(tiles: Floats) -> Floats:
        with torch.inference_mode():
            image = torch.from_numpy(tiles[:, :, 0] if dimensions == 2 else tiles)
            found: Floats = network(image).numpy()
        return found[:, :, None] if dimensions == 2 else found

    return answer


def _scene(plan: Plan) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Shape and spacing of a phantom that one tile covers, in the order of axes of a series."""
    patch = (2, *plan.patch) if len(plan.patch) == 2 else plan.patch
    spacing = (plan.spacing_mm[0], *plan.spacing_mm) if len(plan.patch) == 2 else plan.spacing_mm
    place = [plan.transpose.index(axis) for axis in range(3)]
    slices, rows, columns = (patch[axis] for axis in place)
    slice_mm, row_mm, column_mm = (spacing[axis] for axis in place)
    return (slices, rows, columns), (slice_mm, row_mm, column_mm)


def _import(read: Source, options: Options, differences: Sequence[Difference], before: Import | None) -> Import:
    cases = read.folder.dataset.get("numTraining")
    return Import(
        name=options.name,
        plan=read.plan,
        labels=read.labels,
        trainer=next(iter(read.checkpoints.values())).trainer or read.folder.trainer,
        folds=[*read.networks],
        epochs=[one.epoch for one in read.checkpoints.values()],
        mirror=_mirror(read, options),
        processor=options.processor,
        orientation=_orientation(read.plan, options),
        modalities=_modalities(read, options),
        licence=options.licence,
        cases=cases if isinstance(cases, int) else None,
        parameters=sum(one.numel() for one in next(iter(read.networks.values())).parameters()),
        differences=differences,
        figures=read.figures,
        cleaned=len(read.cleaning),
        left_out=others(read.folder),
        before=before,
    )


def _mirror(read: Source, options: Options) -> tuple[int, ...]:
    return next(iter(read.checkpoints.values())).mirror if options.mirror else ()


def _modalities(read: Source, options: Options) -> Sequence[str]:
    guessed = [bundle.modality_of(*pair) for pair in zip(read.channels, read.plan.schemes, strict=True)]
    return options.modalities or guessed


def _orientation(plan: Plan, options: Options) -> str:
    if options.orientation:
        return "" if options.orientation == "source" else options.orientation
    # TotalSegmentator turns images itself before it hands them to nnU-Net, whatever reads them then.
    turned = plan.reader == bundle.REORIENTING_READER or "totalsegmentator" in plan.dataset_name.lower()
    return bundle.RAS if turned else ""
