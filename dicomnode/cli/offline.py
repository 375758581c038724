"""Verbs that work on files: analyse, send, tell which rules match."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from dicomnode import config, log
from dicomnode.cli.console import (
    ConfigOption,
    JsonOption,
    PathsArgument,
    analysing,
    err,
    find_peer,
    load_model,
    load_settings,
    out,
    stages,
    verbs,
    write_json,
)

app = verbs("")


@app.command()
def process(
    paths: PathsArgument,
    model: Annotated[str, typer.Option(help="Name of the bundle.")],
    out_folder: Annotated[
        Path, typer.Option("--out", help="Folder for the results; those of an earlier run give way.")
    ],
    models: Annotated[Path | None, typer.Option(help="Folder of bundles.")] = None,
    radiomics: Annotated[bool, typer.Option(help="Radiomics features of every segment, too.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or tensorrt.")] = "auto",
    threads: Annotated[int, typer.Option(help="Threads on the CPU; 0: one per core.", min=0)] = 0,
    as_json: JsonOption = False,
) -> None:
    """Analyse files without a node; exit status 1 and the reason where they cannot be analysed.

    Example: dicomnode process ~/chest-ct --model lung-ct --out results
    """
    from dicomnode.flow import outcome, outcome_json
    from dicomnode.flow.process import NotAnalysed
    from dicomnode.flow.process import process as analyse_files
    from dicomnode.infer.network.session import Sessions

    log.configure("warning", "text", "process")
    wanted = ("seg", "sr", "radiomics") if radiomics else ("seg", "sr")
    with analysing(as_json):
        spec = load_model(models or config.shipped("models"), model)
        with stages() as progress:
            sessions = Sessions(threads=threads, device=device)
            done = analyse_files(paths, spec, wanted, out_folder, sessions, progress)
    if isinstance(done, NotAnalysed):
        write_json(outcome_json.refusal_as_json(done)) if as_json else outcome.show_refusal(done, err)
        raise typer.Exit(1)
    write_json(outcome_json.as_json(done)) if as_json else outcome.show(done, out)


@app.command()
def send(
    paths: PathsArgument, to: Annotated[str, typer.Option(help="Peer.")], config_file: ConfigOption = None
) -> None:
    """Send DICOM files to a peer by C-STORE, or by STOW-RS where its entry says so.

    Example: dicomnode send results --to PACS
    """
    from dicomnode.deliver import dimse, sending
    from dicomnode.flow.offline import files_below, outgoing

    settings = load_settings(config_file)
    files = [one for path in files_below(paths) if (one := outgoing(path)) is not None]
    receipts = list(
        sending.send(find_peer(settings, to), files, calling_aet=settings.node.aet, timeouts=dimse.Timeouts())
    )
    for receipt in receipts:
        if not receipt.stored:
            out.print(f"{receipt.sop_instance_uid}: {receipt.words}")
    stored = sum(receipt.stored for receipt in receipts)
    out.print(f"{stored} of {len(files)} objects stored by {to}")
    raise typer.Exit(0 if stored == len(files) else 1)


@app.command()
def route(paths: PathsArgument, config_file: ConfigOption = None) -> None:
    """Which rules would match these files, clause by clause.

    Example: dicomnode route ~/chest-ct
    """
    from dicomnode.flow.hold import explain
    from dicomnode.flow.offline import matches, studies_in

    settings = load_settings(config_file)
    studies, left_out = studies_in(paths)
    for study in studies:
        out.print(f"study {study.study_instance_uid}")
        for series, match in matches(settings, study):
            colour = "green" if match.matched else "yellow"
            out.print(
                f"  [{colour}]{match.rule.name}[/]: {escape(explain(match, series))}", highlight=False, soft_wrap=True
            )
    for text in left_out:
        err.print(text, markup=False, highlight=False, soft_wrap=True)
