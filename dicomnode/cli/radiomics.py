"""Verbs on radiomics of cohorts: extract, harmonise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dicomnode import config, log
from dicomnode.cli.console import ConfigOption, ModelsOption, err, load_model, load_settings, out, stages, store, verbs

app = verbs("Features of many studies in one table, and what makes scanners comparable.")


@app.command()
def extract(
    out_file: Annotated[Path, typer.Option("--out", help="The table, .csv or .parquet; continued where it exists.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Files or folders.", exists=True)] = None,
    from_store: Annotated[bool, typer.Option("--store", help="Take the studies of the node's store.")] = False,
    settings_file: Annotated[Path | None, typer.Option("--settings", help="TOML with a table [radiomics].")] = None,
    model: Annotated[str, typer.Option(help="Bundle whose settings are taken.")] = "",
    models: ModelsOption = None,
    jobs: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    identified: Annotated[bool, typer.Option(help="Patient ID in place of a pseudonym.")] = False,
    config_file: ConfigOption = None,
) -> None:
    """Features of every region that is drawn on these images, as one table; what fails is a row with its reason.

    Example: dicomnode radiomics extract ~/studies --out features.csv --settings radiomics.toml
    """
    from dicomnode.flow.cohort import describe as cohort_describe
    from dicomnode.flow.cohort import extract as cohort

    log.configure("warning", "text", "radiomics")
    spec = _settings(settings_file, model, models)
    with stages() as progress:
        studies = _studies(paths or [], from_store, config_file, progress)
        found = cohort.find(studies, out_file, identified=identified)
        cohort_describe.show(found.description, len(found.cases), out)
        done = cohort.extract(found, spec, out_file, identified=identified, jobs=jobs, progress=progress)
    told = ", ".join(f"{count} rows {status}" for status, count in sorted(done.rows.items())) or "no rows"
    out.print(f"{done.measured} cases measured, {done.skipped} were there already; {told}", highlight=False)
    for path in done.written:
        out.print(str(path), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if found.cases else 1)


def _settings(path: Path | None, model: str, models: Path | None) -> Any:
    from dicomnode.flow.cohort.settings import read_settings

    if (path is None) == (not model):
        raise typer.BadParameter("needed --settings FILE or --model NAME, one of both")
    return read_settings(path) if path else load_model(models or config.shipped("models"), model).radiomics


def _studies(paths: list[Path], from_store: bool, config_file: Path | None, progress: Any) -> Any:
    from dicomnode.flow.cohort.cases import stored_studies
    from dicomnode.flow.cohort.files import studies_below

    if from_store == bool(paths):
        raise typer.BadParameter("needed PATHS or --store, one of both")
    if from_store:
        return stored_studies(*store(load_settings(config_file)))
    return studies_below(paths, lambda text: err.print(text, markup=False, highlight=False, soft_wrap=True), progress)


@app.command()
def harmonise(
    features: Annotated[Path, typer.Argument(metavar="FEATURES.csv", help="Table of features.", exists=True)],
    batch: Annotated[str, typer.Option(help="Columns that name the batch, with commas between.")],
    reference: Annotated[str, typer.Option(help="The batch to whose scale the others are brought.")],
    out_file: Annotated[Path, typer.Option("--out", help="The file that a bundle includes.")],
    retest: Annotated[str, typer.Option(help="Columns that name what was scanned twice.")] = "",
    ccc: Annotated[float, typer.Option(help="Least concordance of a feature, with --retest.", min=0, max=1)] = 0.9,
    minimum: Annotated[int, typer.Option(help="Fewest scans per batch.", min=3)] = 20,
    batch_by: Annotated[str, typer.Option(help="DICOM keywords that the batch stands for.")] = "",
    leave_out: Annotated[list[str] | None, typer.Option(help="Features not to fit; * stands for anything.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="COLUMN=VALUE that a row has to have, such as region.")] = None,
) -> None:
    """Fit M-ComBat against a reference batch and keep the features on which repeated scans agree.

    Example: dicomnode radiomics harmonise features.csv --batch scanner --reference CT1 --out harmonisation.json
    """
    from dicomnode.flow.harmonise.fit import fit, write
    from dicomnode.flow.harmonise.show import show
    from dicomnode.flow.harmonise.table import names, read_table

    table = read_table(features, names(batch), names(retest), names(batch_by), leave_out or (), only or ())
    found = fit(table, reference, minimum=minimum, least_ccc=ccc, named=features.name, paired=bool(retest))
    show(found, write(found, out_file), out_file, out)
