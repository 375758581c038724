"""The command `dicomnode` and its verbs."""

from __future__ import annotations

from typing import Annotated

import typer

from dicomnode import __version__
from dicomnode.cli import (
    audit,
    beginning,
    checking,
    conformance,
    deidentify,
    ending,
    models,
    offline,
    radiomics,
    reconcile,
    reload,
    results,
    service,
    shadow,
    store,
    studies,
    web,
)
from dicomnode.cli.console import out, verbs

app = verbs("A DICOM AI node beside the PACS. Not a medical device.")
for group in (
    beginning.app,
    checking.app,
    conformance.app,
    service.app,
    offline.app,
    deidentify.app,
    studies.app,
    reload.app,
    reconcile.app,
    results.plain,
):
    app.registered_commands += group.registered_commands
app.add_typer(models.app, name="models")
app.add_typer(store.app, name="store")
app.add_typer(shadow.app, name="shadow")
app.add_typer(radiomics.app, name="radiomics")
app.add_typer(audit.app, name="audit")
app.add_typer(results.app, name="results")
app.add_typer(web.app, name="web")


@app.callback()
def everywhere(
    debug: Annotated[
        bool, typer.Option("--debug", help="Print the traceback of a fault of this program; it may name a patient.")
    ] = False,
) -> None:
    """A DICOM AI node beside the PACS. Not a medical device.

    Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 warnings alone (`check`), 70 a fault of this
    program, 130 interrupted. `dicomnode VERB --help` has an example of every verb.
    """


@app.command()
def version() -> None:
    """Print the version.

    Example: dicomnode version
    """
    out.print(__version__)


def main() -> None:
    """Run the command and leave with its exit status."""
    ending.run(app)
