"""The command `dicomnode` and its verbs."""

from __future__ import annotations

import sys

from rich.markup import escape

from dicomnode import __version__
from dicomnode.cli import audit, deidentify, models, offline, radiomics, service, store, studies
from dicomnode.cli.console import also_json, err, out, verbs
from dicomnode.domain.errors import ConfigError, DicomNodeError

app = verbs("A DICOM AI node beside the PACS. Not a medical device.")
for group in (service.app, offline.app, deidentify.app, studies.app):
    app.registered_commands += group.registered_commands
app.add_typer(models.app, name="models")
app.add_typer(store.app, name="store")
app.add_typer(radiomics.app, name="radiomics")
app.add_typer(audit.app, name="audit")


@app.command()
def version() -> None:
    """Print the version."""
    out.print(__version__)


def main() -> None:
    """Run the command; faults of configuration exit with 2, other faults of ours with 1."""
    try:
        app()
    except ConfigError as error:
        also_json(error)
        for fault in error.faults:
            err.print(
                f"[red]{escape(fault.key)}[/] = {fault.value!r}: {escape(fault.remedy)}",
                highlight=False,
                soft_wrap=True,
            )
        sys.exit(2)
    except DicomNodeError as error:
        also_json(error)
        err.print(f"[red]failed:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
