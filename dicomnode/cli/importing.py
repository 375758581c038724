"""Verbs that make bundles of other people's models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from dicomnode.cli.console import bundles, out, verbs
from dicomnode.domain.errors import ConfigError, Fault

app = verbs("Make a bundle of a model that somebody else has trained; runs no code of theirs.")

SourceArgument = Annotated[Path, typer.Argument(help="The folder or file to import.")]
NameOption = Annotated[str, typer.Option(help="What the bundle shall be called: a-z, 0-9 and hyphens.")]
FolderOption = Annotated[Path | None, typer.Option(help="Folder of bundles; that of the configuration when left out.")]
CodesOption = Annotated[Path | None, typer.Option(help="Table of codes for labels that are not known.")]
LicenceOption = Annotated[str, typer.Option(help="Licence of the weights, for the card.")]
AnswersOption = Annotated[
    Path | None, typer.Option(help="What the network does not tell, as model.toml with gaps; asked for when left out.")
]
TorchScriptOption = Annotated[
    bool,
    typer.Option(
        "--allow-torchscript", help="Run a TorchScript file, which is a program, to export it; trust its maker."
    ),
]


@app.callback()
def importing() -> None:
    """Make a bundle of a model that somebody else has trained; runs no code of theirs."""


@contextmanager
def needing_torch() -> Iterator[None]:
    """Says how to get PyTorch, which the node itself does not need."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "onnx"):
            raise
        remedy = 'is not installed, and importing needs it: pip install "dicomnode-ai[train]"'
        raise ConfigError([Fault(key="models import", value=error.name, remedy=remedy)]) from error


@app.command("nnunet")
def import_nnunet(
    source: SourceArgument,
    name: NameOption,
    codes: CodesOption = None,
    folder: FolderOption = None,
    configuration: Annotated[str, typer.Option(help="2d, 3d_cascade_fullres …, where several were trained.")] = "",
    folds: Annotated[str, typer.Option(help="Folds with commas between; all when left out.")] = "",
    checkpoint: Annotated[str, typer.Option(help="File of weights in every fold.")] = "checkpoint_final.pth",
    orientation: Annotated[str, typer.Option(help="How training images lay, such as HPL, or source.")] = "",
    modality: Annotated[list[str] | None, typer.Option(help="DICOM Modality of every channel, in order.")] = None,
    licence: LicenceOption = "",
    mirror: Annotated[bool, typer.Option(help="Average over mirrored tiles: up to eight times as slow.")] = True,
    processor: Annotated[
        bool, typer.Option("--processor", help="Write it for a node without a graphics card, where it is faster then.")
    ] = False,
) -> None:
    """Import an nnU-Net v2 result folder.

    Example: dicomnode models import nnunet nnUNet_results/Dataset006_Lung --name lung-nnunet
    """
    with needing_torch():
        from dicomnode.train.importing.nnunet import Options, import_nnunet
    options = Options(
        name=name, models=bundles(folder), codes=codes, configuration=configuration,
        folds=[one.strip() for one in folds.split(",") if one.strip()], checkpoint=checkpoint,
        orientation=orientation, modalities=modality or (), licence=licence, mirror=mirror, processor=processor,
    )  # fmt: skip
    import_nnunet(source, options, _say)


@app.command("monai")
def import_monai(
    source: SourceArgument,
    name: NameOption,
    codes: CodesOption = None,
    folder: FolderOption = None,
    file: Annotated[str, typer.Option("--config", help="Inference configuration below configs/.")] = "",
    modality: Annotated[list[str] | None, typer.Option(help="DICOM Modality of every channel, in order.")] = None,
    licence: LicenceOption = "",
    allow_torchscript: TorchScriptOption = False,
) -> None:
    """Import a MONAI bundle.

    Example: dicomnode models import monai spleen_ct_segmentation --name spleen-monai
    """
    with needing_torch():
        from dicomnode.train.importing.monai import Options, import_monai
    options = Options(
        name=name, models=bundles(folder), codes=codes, config=file, modalities=modality or (),
        licence=licence, allow_torchscript=allow_torchscript,
    )  # fmt: skip
    import_monai(source, options, _say)


@app.command("onnx")
def import_onnx(
    source: SourceArgument,
    name: NameOption,
    answers: AnswersOption = None,
    codes: CodesOption = None,
    folder: FolderOption = None,
    licence: LicenceOption = "",
) -> None:
    """Import any ONNX file, by a file of answers or a short interview.

    Example: dicomnode models import onnx liver.onnx --name liver --answers answers.toml
    """
    with needing_torch():
        from dicomnode.train.importing.onnx_bundle import Options, import_onnx
    options = Options(name=name, models=bundles(folder), answers=answers, codes=codes, licence=licence)
    import_onnx(source, options, _ask, _say)


@app.command("torchscript")
def import_torchscript(
    source: SourceArgument,
    name: NameOption,
    answers: AnswersOption = None,
    codes: CodesOption = None,
    folder: FolderOption = None,
    licence: LicenceOption = "",
    allow_torchscript: TorchScriptOption = False,
) -> None:
    """Import any TorchScript file, by a file of answers or a short interview.

    Example: dicomnode models import torchscript liver.pt --name liver --answers answers.toml
    """
    with needing_torch():
        from dicomnode.train.importing.onnx_bundle import Options, import_torchscript

        options = Options(
            name=name, models=bundles(folder), answers=answers, codes=codes, licence=licence,
            allow_torchscript=allow_torchscript,
        )  # fmt: skip
        import_torchscript(source, options, _ask, _say)


def _ask(question: str, default: str) -> str:
    return str(typer.prompt(question, default=default or None))


def _say(line: str) -> None:
    out.print(line, markup=False, highlight=False, soft_wrap=True)
