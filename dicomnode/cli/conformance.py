"""The verb that prints the DICOM conformance statement."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dicomnode.cli.console import ConfigOption, configured, verbs, write_json

app = verbs("")


@app.command()
def conformance(
    config_file: ConfigOption = None,
    as_json: Annotated[
        bool, typer.Option("--json/--markdown", help="JSON for scripts, or Markdown for people.")
    ] = False,
) -> None:
    """Print the DICOM conformance statement (PS3.2), with the values of the configuration if there is one.

    Example: dicomnode conformance --markdown > conformance.md
    """
    from dicomnode.flow.conformance.form import as_json as for_scripts
    from dicomnode.flow.conformance.form import markdown
    from dicomnode.flow.conformance.statement import statement

    made = statement(configured(None, config_file))
    if as_json:
        write_json(for_scripts(made))
    else:
        sys.stdout.write(markdown(made))
