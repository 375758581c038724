"""Verbs that try a model on cases with a reference, and say what may become of it here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dicomnode import log
from dicomnode.cli.console import (
    ConfigOption,
    ModelsOption,
    bundles,
    err,
    load_model,
    load_settings,
    out,
    stages,
    store,
    verbs,
)

app = verbs("")

CasesOption = Annotated[
    Path, typer.Option("--cases", help="Folder of studies, each with SEG or RTSTRUCT.", exists=True)
]
LocalOption = Annotated[
    Path | None,
    typer.Option("--cases", help="Folder of local cases; left out for models that mark nothing.", exists=True),
]
RoiOption = Annotated[
    list[str] | None, typer.Option("--roi", help='NAME=ROI, such as lung_left="Lung L"; once for each region.')
]
ExcludeOption = Annotated[list[str] | None, typer.Option(help="A region whose voxels count for nobody.")]
LungOption = Annotated[list[str] | None, typer.Option(help="A region that is a lung: units of the ROC curve.")]
ToleranceOption = Annotated[float, typer.Option("--tolerance", help="Of the surface Dice, mm.", min=0)]
SeedOption = Annotated[int, typer.Option(help="Of the intervals of confidence.")]
StrataOption = Annotated[Path | None, typer.Option(help="CSV with StudyInstanceUID or PatientID, and columns.")]
NegativesOption = Annotated[bool, typer.Option("--negatives", help="A case without such a region holds no lesion.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or tensorrt.")]
ThreadsOption = Annotated[int, typer.Option(help="Threads on the CPU; 0: one per core.", min=0)]


@app.command()
def evaluate(
    name: str,
    cases: CasesOption,
    out_folder: Annotated[Path | None, typer.Option("--out", help="Folder for tables and report.")] = None,
    roi: RoiOption = None,
    exclude: ExcludeOption = None,
    lung: LungOption = None,
    tolerance: ToleranceOption = 1.18,
    strata: StrataOption = None,
    negatives: NegativesOption = False,
    seed: SeedOption = 1,
    models: ModelsOption = None,
    config_file: ConfigOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
) -> None:
    """Try a model on cases with a reference: tables, intervals, box plots, worst cases; can be stopped and go on.

    Example: dicomnode models evaluate lung-ct --cases ~/cases
    """
    spec = load_model(bundles(models, config_file), name)
    wish = _wish(roi, exclude, lung, tolerance, strata, negatives=negatives, seed=seed)
    done = _evaluated(spec, cases, out_folder or Path(f"evaluation-{name}"), wish, device, threads)
    raise typer.Exit(130 if done.interrupted else 0 if any(one["cases"] for one in done.figures) else 1)


@app.command()
def accept(
    name: str,
    by: Annotated[str, typer.Option(help="Who accepts it: a person, by name.")],
    cases: LocalOption = None,
    out_folder: Annotated[Path | None, typer.Option("--out", help="Folder for tables and report.")] = None,
    roi: RoiOption = None,
    exclude: ExcludeOption = None,
    lung: LungOption = None,
    tolerance: ToleranceOption = 1.18,
    strata: StrataOption = None,
    negatives: NegativesOption = False,
    seed: SeedOption = 1,
    config_file: ConfigOption = None,
    threads: ThreadsOption = 0,
) -> None:
    """Evaluate a model on local cases and accept it, as it is now, for rules with use = "clinical".

    Example: dicomnode models accept lung-ct --cases ~/cases --by "Dr Example"
    """
    from dicomnode.flow.models.acceptance import accept as act
    from dicomnode.flow.models.acceptance import accept_unmeasured, acceptable, grounds

    settings = load_settings(config_file)
    spec = load_model(settings.models.folder, name)
    acceptable(spec, by)
    grounds(spec, cases)
    if cases is None:
        _say(accept_unmeasured(store(settings)[0], spec, by))
        return
    wish = _wish(roi, exclude, lung, tolerance, strata, negatives=negatives, seed=seed)
    folder = out_folder or settings.store.folder / "acceptance" / name
    done = _evaluated(spec, cases, folder, wish, settings.work.device, threads)
    _say(act(store(settings)[0], spec, done, by))


@app.command()
def disable(
    name: str,
    reason: Annotated[str, typer.Option(help="Why; it stands in the story of every study that waits.")],
    config_file: ConfigOption = None,
) -> None:
    """Hold the jobs of a model at once, those that run included; nothing of it is analysed until `enable`.

    Example: dicomnode models disable lung-ct --reason "wrong side in two patients"
    """
    from dicomnode.flow.models.switch import disable as act

    settings = load_settings(config_file)
    _say(act(store(settings)[0], settings, name, reason))


@app.command()
def enable(name: str, config_file: ConfigOption = None) -> None:
    """Let the jobs of a disabled model run again.

    Example: dicomnode models enable lung-ct
    """
    from dicomnode.flow.models.switch import enable as act

    settings = load_settings(config_file)
    _say(act(store(settings)[0], settings, name))


def _say(line: str) -> None:
    out.print(line, markup=False, highlight=False, soft_wrap=True)


def _wish(
    roi: list[str] | None,
    exclude: list[str] | None,
    lung: list[str] | None,
    tolerance: float,
    strata: Path | None,
    *,
    negatives: bool,
    seed: int,
) -> Any:
    from dicomnode.flow.evaluate.wish import Wish, pairs, read_strata

    return Wish(
        rois=pairs(roi or ()),
        exclude=tuple(exclude or ()),
        lungs=tuple(lung or ()),
        negatives=negatives,
        tolerance_mm=tolerance,
        seed=seed,
        strata=read_strata(strata),
    )


def _evaluated(spec: Any, cases: Path, folder: Path, wish: Any, device: str, threads: int) -> Any:
    from dicomnode.flow.cohort.files import studies_below
    from dicomnode.flow.evaluate.run import evaluate as run
    from dicomnode.flow.evaluate.written import table_of
    from dicomnode.infer.network.session import Sessions

    log.configure("warning", "text", "evaluate")
    with stages() as progress:
        studies = studies_below([cases], lambda text: err.print(text, markup=False, soft_wrap=True), progress)
        done = run(studies, spec, wish, folder, Sessions(threads=threads, device=device), progress)
    table = Table("structure", "figure", "mean", "95 % interval", "median", "range", box=None, pad_edge=False)
    for row in table_of(done.figures):
        table.add_row(*map(escape, row))
    out.print(table, soft_wrap=True)
    told = f"{done.done} cases tried, {done.skipped} were there already"
    _say(f"{told}; {done.failed} not evaluated or not wholly, with the reason in {folder}")
    if done.interrupted:
        left = done.cases - done.done - done.skipped
        err.print(f"interrupted: {left} cases are left; the same command goes on with them", highlight=False)
    for path in done.written:
        _say(str(path))
    return done
