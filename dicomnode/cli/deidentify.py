"""The verb that takes the patient out of files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dicomnode import log
from dicomnode.cli.console import JsonOption, PathsArgument, err, out, stages, verbs, write_json
from dicomnode.domain.privacy import Keep

app = verbs("")

_KEEP_HELP = f"Options of PS3.15 Annex E, with commas between: {', '.join(Keep)}."


@app.command()
def deidentify(
    paths: PathsArgument,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for the objects without patient.")],
    keep: Annotated[str, typer.Option(help=_KEEP_HELP)] = "",
    secret: Annotated[
        Path | None,
        typer.Option(help="File with the secret of the pseudonyms; made if absent. The same, the same UIDs."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write DICOM files without their patient (PS3.15 Annex E); exit status 1 where one was left out.

    Example: dicomnode deidentify ~/chest-ct --out anonymous --keep device
    """
    from dicomnode.deident.pseudonym import Pseudonyms
    from dicomnode.deident.secret import secret_for
    from dicomnode.flow.export import export, tolerant

    log.configure("warning", "text", "deidentify")
    tolerant()
    names = Pseudonyms(secret=secret_for(secret))
    with stages() as progress:
        done = export(paths, out_folder, names, _options(keep), progress)
    if as_json:
        write_json(
            {"written": done.written, "ignored": done.ignored, "refused": done.refused, "warnings": done.warnings}
        )
    else:
        out.print(f"{done.written} objects written to {out_folder}", markup=False, highlight=False, soft_wrap=True)
        for kind, counted in (("left out", done.refused), ("look at", done.warnings)):
            for text, number in counted.items():
                err.print(f"{kind}, {number}: {text}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1 if done.refused or not done.written else 0)


def _options(text: str) -> frozenset[Keep]:
    names = [one.strip() for one in text.split(",") if one.strip()]
    unknown = [one for one in names if one not in list(Keep)]
    if unknown:
        raise typer.BadParameter(f"no option {unknown[0]}; known: {', '.join(Keep)}", param_hint="--keep")
    return frozenset(map(Keep, names))
