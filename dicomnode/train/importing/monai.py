"""Imports a MONAI bundle: its transforms become steps, its network ONNX, and the two are held against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions
from dicomnode.train.importing import monai_post as post
from dicomnode.train.importing.cards import Told, card
from dicomnode.train.importing.codes import codes_of, read_codes
from dicomnode.train.importing.compare import compare, phantom, run_through
from dicomnode.train.importing.export import export
from dicomnode.train.importing.faults import refuse
from dicomnode.train.importing.monai_config import MonaiFolder, find
from dicomnode.train.importing.monai_network import network_of
from dicomnode.train.importing.monai_steps import prepare_steps
from dicomnode.train.importing.monai_transform import transforms
from dicomnode.train.importing.nnunet_bundle import input_names, modality_of, segment_tables
from dicomnode.train.importing.nnunet_labels import Labels
from dicomnode.train.importing.script import load_script
from dicomnode.train.importing.trial import answering, tried
from dicomnode.train.importing.written import new_bundle, sha256_of, write_model_toml

#: Modalities as metadata.json writes them, as DICOM does.
_MODALITIES = {"CT": "CT", "MR": "MR", "MRI": "MR", "PET": "PT", "PT": "PT", "US": "US"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the bundle does not tell.

    Attributes
    ----------
    codes
        A table of codes (`codes.read_codes`).
    config
        Name of the inference configuration, where it is not the usual.
    modalities
        DICOM Modality of every channel, in order; as metadata.json says where empty.
    allow_torchscript
        Whether a TorchScript file may be run, where there is no checkpoint of a network of MONAI's own.
    """

    name: str
    models: Path
    codes: Path | None = None
    config: str = ""
    modalities: Sequence[str] = ()
    licence: str = ""
    allow_torchscript: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A bundle that has been read."""

    folder: MonaiFolder
    network: nn.Module
    described: str
    channels: tuple[str, ...]
    modalities: tuple[str, ...]
    labels: Labels
    tiles: post.Tiles
    ending: post.Ending
    steps: list[dict[str, Any]]


def import_monai(source: Path, options: Options, say: Callable[[str], None]) -> Path:
    """Make the bundle `options.models/options.name` of a MONAI bundle; nothing stays of one that fails.

    Its configuration is read as data: expressions, functions and classes of others are refused by name.

    Raises
    ------
    ConfigError
        If the source is not what it should be, holds what a bundle cannot say, or a label has no code.
    ModelError
        If the bundle answers otherwise than its source.
    """
    read = _read(find(source, options.config), options)
    codes = codes_of(read.labels.names, read_codes(options.codes) if options.codes is not None else {})
    with new_bundle(options.models, options.name) as draft:
        shape = read.tiles.table["shape"]
        tried(read.network, len(read.channels), shape)
        export(
            read.network, draft / "model.onnx", len(read.channels), shape if read.tiles.sliced is None else shape[1:]
        )
        write_model_toml(
            draft,
            _tables(read, options, sha256_of(draft / "model.onnx"), segment_tables(read.labels, codes)),
            "Imported from MONAI; CARD.md tells what is known of the model and what is missing.",
        )
        spec = load_bundle(draft)
        sessions = Sessions(device="cpu")
        flat = read.tiles.sliced is not None
        difference = compare(answering(read.network, flat=flat), spec, spec.weights[0], sessions)
        say(f"PyTorch and onnxruntime on the same input: {difference}")
        found = run_through(spec, sessions, phantom((24, 48, 48), (6.0, 8.0, 8.0), hounsfield="CT" in read.modalities))
        say(f"the whole bundle ran on a phantom and found there: {', '.join(found) or 'nothing'}")
        made = Told(
            name=options.name, source="a MONAI bundle", verb="monai", labels=read.labels.names, runtime="PyTorch and "
            "onnxruntime", difference=difference, remarks=read.ending.remarks, told=_told(read, options),
        )  # fmt: skip
        (draft / "CARD.md").write_text(card(made), encoding="utf-8")
    for remark in read.ending.remarks:
        say(remark)
    target = options.models / options.name
    say(f"{target} is a bundle now; its card names what is missing before anybody may rely on it")
    return target


def _read(folder: MonaiFolder, options: Options) -> _Source:
    form = folder.metadata.get("network_data_format")
    if not isinstance(form, Mapping):
        refuse("metadata.json: network_data_format", "", "missing; it says what the channels mean")
    image, pred = (_only(form, key) for key in ("inputs", "outputs"))
    channels = _channels(image)
    modalities = tuple(options.modalities) or tuple(_modality(image, name) for name in channels)
    if len(modalities) != len(channels):
        refuse("--modality", [*modalities], f"needed one for each of {', '.join(channels)}, in this order")
    after = transforms(folder.config, "postprocessing")
    names, background = _labels(pred)
    ending = post.ending_of(after, len(names))
    if not ending.decided:
        refuse(f"{folder.config.where}: postprocessing", "", "decides nothing; add AsDiscrete with argmax or threshold")
    if ending.decided == "argmax" and not background:
        refuse("metadata.json: network_data_format.outputs", names[0], 'needed "0": "background" where argmax decides')
    tiles = post.tiles_of(folder.config)
    steps = prepare_steps(transforms(folder.config, "preprocessing"), input_names(channels))
    if tiles.sliced is not None:
        if tiles.sliced not in (0, 1, 2):
            refuse(f"{folder.config.where}: inferer.spatial_dim", tiles.sliced, "needed 0, 1 or 2")
        steps.append(
            {"step": "transpose", "axes": [tiles.sliced, *(axis for axis in range(3) if axis != tiles.sliced)]}
        )
    network, described = _network(folder, options)
    return _Source(
        folder=folder, network=network, described=described, channels=channels, modalities=modalities,
        labels=Labels(names=names, holds=tuple((number,) for number in range(1, len(names) + 1)), regions=False),
        tiles=tiles, ending=ending, steps=steps,
    )  # fmt: skip


def _network(folder: MonaiFolder, options: Options) -> tuple[nn.Module, str]:
    """A network of MONAI's own where there is one; else the program, if it may run."""
    if folder.weights is not None and (folder.config.get("network_def") is not None or folder.script is None):
        network, made = network_of(folder.config, folder.weights)
        count = sum(one.numel() for one in network.parameters())
        arguments = ", ".join(f"{key}={value}" for key, value in made.items() if key != "name")
        return network, f"{made['name']}({arguments}) of MONAI, {count} parameters."
    if folder.script is None:
        refuse(str(folder.path), "models", "no weights; add models/model.pt or models/model.ts")
    return load_script(folder.script, allowed=options.allow_torchscript), "TorchScript, taken as it is."


def _tables(read: _Source, options: Options, digest: str, segments: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    metadata = read.folder.metadata
    names = input_names(read.channels)
    tables: dict[str, Any] = {
        "model": {
            "name": options.name,
            "version": "1.0.0",
            "title": str(metadata.get("name") or metadata.get("task") or options.name)[:64],
            "status": "research",
            "task": "segment",
            "manufacturer": "imported from MONAI",
            "licence": options.licence or str(metadata.get("license") or "") or "not stated",
            "onnx": "model.onnx",
            "sha256": digest,
        },
        "input": {name: {"Modality": modality} for name, modality in zip(names, read.modalities, strict=True)},
        "prepare": read.steps,
        "tile": read.tiles.table,
        "output": post.output_table(read.ending),
        "post": post.post_steps(read.ending, len(read.labels.names)),
        "segment": segments,
    }
    return {name: table for name, table in tables.items() if table}


def _told(read: _Source, options: Options) -> dict[str, str]:
    metadata = read.folder.metadata
    known = {key: " ".join(str(metadata.get(key) or "").split())[:2000] for key in (
        "description", "intended_use", "authors", "version", "data_source", "data_type", "eval_metrics", "license",
    )}  # fmt: skip
    prefix = "The source says: "
    return {
        "Intended use": prefix + known["intended_use"] if known["intended_use"] else "",
        "Data": prefix + known["data_source"] if known["data_source"] else "",
        "Model": f"{known['description']} {read.described} Version {known['version'] or 'unknown'} by "
        f"{known['authors'] or 'unknown'}.".strip(),
        "Performance": f"{prefix}{known['eval_metrics']}; nobody has measured it here."
        if known["eval_metrics"]
        else "",
        "Licence": options.licence or known["license"],
    }


def _only(form: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The one input or output of the network."""
    where = f"metadata.json: network_data_format.{key}"
    table = form.get(key)
    if not isinstance(table, Mapping) or len(table) != 1 or not isinstance(next(iter(table.values())), Mapping):
        refuse(where, [*table] if isinstance(table, Mapping) else "", "needed one image in and one out")
    found: Mapping[str, Any] = next(iter(table.values()))
    return found


def _channels(image: Mapping[str, Any]) -> tuple[str, ...]:
    defined = image.get("channel_def")
    if isinstance(defined, Mapping) and defined and all(str(number) in defined for number in range(len(defined))):
        return tuple(str(defined[str(number)]) for number in range(len(defined)))
    count = image.get("num_channels")
    if not isinstance(count, int) or count < 1:
        refuse("metadata.json: network_data_format.inputs", count, "needed channel_def, or num_channels above 0")
    return tuple("image" if count == 1 else f"image {number + 1}" for number in range(count))


def _modality(image: Mapping[str, Any], channel: str) -> str:
    stated = str(image.get("modality") or "").upper()
    return _MODALITIES.get(stated) or modality_of(f"{channel} {stated}", "")


def _labels(pred: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
    """Names of the channels behind the background, and whether there is one."""
    defined = pred.get("channel_def")
    if not isinstance(defined, Mapping) or [*defined] != [str(number) for number in range(len(defined))]:
        refuse("metadata.json: network_data_format.outputs", defined, 'needed channel_def with "0", "1" and so on')
    names = [str(name) for name in defined.values()]
    background = bool(names) and names[0].strip().lower() in ("background", "bg")
    found = tuple(names[background:])
    if not found:
        refuse("metadata.json: network_data_format.outputs", names, "nothing but background, needed a label")
    return found, background
