"""The command `dicomnode` and its verbs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from dicomnode import __version__, config, log
from dicomnode.domain.errors import ConfigError, DicomNodeError

app = typer.Typer(
    help="A DICOM AI node beside the PACS. Not a medical device.", no_args_is_help=True, pretty_exceptions_enable=False
)
models_app = typer.Typer(
    help="List, show and verify model bundles.", no_args_is_help=True, pretty_exceptions_enable=False
)
app.add_typer(models_app, name="models")
out = Console()
err = Console(stderr=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
StudyArgument = Annotated[str, typer.Argument(help="Study Instance UID, or how it begins.")]
PathsArgument = Annotated[list[Path], typer.Argument(help="Files or folders.", exists=True)]


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("dicomnode.toml"),
    aet: Annotated[str, typer.Option(prompt="AE title of this node")] = "DICOMNODE",
    port: Annotated[int, typer.Option(prompt="Port to listen on")] = 11112,
    pacs_aet: Annotated[str, typer.Option(prompt="AE title of the PACS")] = "PACS",
    pacs_host: Annotated[str, typer.Option(prompt="Address of the PACS")] = "127.0.0.1",
    pacs_port: Annotated[int, typer.Option(prompt="Port of the PACS")] = 104,
    store: Annotated[Path, typer.Option(prompt="Folder for studies and results")] = Path("/var/lib/dicomnode"),
) -> None:
    """Write a commented configuration for one PACS."""
    from dicomnode.flow.first import write_configuration

    write_configuration(path, aet=aet, port=port, pacs=(pacs_aet, pacs_host, pacs_port), store=store)
    out.print(f"wrote {path}; next: dicomnode check --config {path}")


@app.command()
def check(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Test configuration, disk, models, port and peers; exit status 1 if anything fails."""
    from dicomnode.flow.preflight import check as checks
    from dicomnode.flow.verdict import Verdict

    found = list(checks(_settings(config_file)))
    _json([asdict(one) for one in found]) if as_json else _verdicts(found)
    raise typer.Exit(1 if any(one.verdict is Verdict.FAIL for one in found) else 0)


@app.command()
def run(
    config_file: ConfigOption = None,
    only: Annotated[str, typer.Option(help="receive, work or deliver; all of them when left out.")] = "",
    child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
) -> None:
    """Run the node until SIGTERM."""
    from dicomnode import node

    if only and only not in node.ROLES:
        raise typer.BadParameter(f"--only takes one of {', '.join(node.ROLES)}")
    path = config.find_file(config_file).resolve()
    settings = config.load(path)
    if child:
        node.run_child(settings, only)
        return
    raise typer.Exit(node.run(settings, path, [only] if only else node.ROLES))


@app.command()
def demo(
    study: Annotated[Path | None, typer.Option(help="Folder with a chest CT instead of the phantom.")] = None,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for everything that is made.")] = Path(
        "demo-output"
    ),
) -> None:
    """Make a phantom, start a node and a stand-in PACS on loopback, send, and show what comes back."""
    from dicomnode.flow.demo import demonstrate
    from dicomnode.flow.show import show_returned

    log.configure("warning", "text", "demo")
    folder = _fresh(out_folder)
    with out.status("starting a node, sending a study, waiting for results …"):
        returned = demonstrate(folder, study)
    show_returned(returned, out)


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
    """Analyse files without a node; exit status 1 and the reason where they cannot be analysed."""
    from dicomnode.flow import outcome, outcome_json
    from dicomnode.flow.process import NotAnalysed
    from dicomnode.flow.process import process as analyse_files
    from dicomnode.infer.network.session import Sessions

    log.configure("warning", "text", "process")
    wanted = ("seg", "sr", "radiomics") if radiomics else ("seg", "sr")
    with _analysing(as_json):
        spec = _bundle(models or config.shipped("models"), model)
        with _stages() as progress:
            sessions = Sessions(threads=threads, device=device)
            done = analyse_files(paths, spec, wanted, out_folder, sessions, progress)
    if isinstance(done, NotAnalysed):
        _json(outcome_json.refusal_as_json(done)) if as_json else outcome.show_refusal(done, err)
        raise typer.Exit(1)
    _json(outcome_json.as_json(done)) if as_json else outcome.show(done, out)


@app.command()
def send(
    paths: PathsArgument, to: Annotated[str, typer.Option(help="Peer.")], config_file: ConfigOption = None
) -> None:
    """Send DICOM files to a peer by C-STORE."""
    from dicomnode.deliver import dimse
    from dicomnode.flow.offline import files_below, outgoing

    settings = _settings(config_file)
    files = [one for path in files_below(paths) if (one := outgoing(path)) is not None]
    receipts = list(dimse.send(_peer(settings, to), files, calling_aet=settings.node.aet, timeouts=dimse.Timeouts()))
    for receipt in receipts:
        if not receipt.stored:
            out.print(f"{receipt.sop_instance_uid}: {receipt.text}")
    stored = sum(receipt.stored for receipt in receipts)
    out.print(f"{stored} of {len(files)} objects stored by {to}")
    raise typer.Exit(0 if stored == len(files) else 1)


@app.command()
def echo(peer: str, config_file: ConfigOption = None) -> None:
    """Ask a peer for C-ECHO."""
    from dicomnode.deliver import dimse

    settings = _settings(config_file)
    seconds = dimse.echo(_peer(settings, peer), calling_aet=settings.node.aet, timeouts=dimse.Timeouts())
    out.print(f"{peer} answers in {seconds * 1000:.0f} ms")


@app.command()
def status(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """How many studies, jobs and deliveries stand where, and what wants an eye."""
    from dicomnode.flow.show import show_backlog
    from dicomnode.store.story import Story

    backlog = Story(_store(_settings(config_file))[0]).backlog()
    _json(asdict(backlog)) if as_json else show_backlog(backlog, out)


@app.command()
def why(study: StudyArgument, config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Tell the story of a study."""
    from dicomnode.flow.operate import find
    from dicomnode.store.story import Story

    db, _ = _store(_settings(config_file))
    story, uid = Story(db), find(db, study)
    lines, results = story.why(uid), story.results(uid)
    if as_json:
        _json({"study": uid, "story": [asdict(one) for one in lines], "results": [asdict(one) for one in results]})
        return
    out.print(f"study {uid}")
    for line in lines:
        text = f"{line.at[:23]}Z  {line.entity} {line.entity_id} [bold]{line.arrow}[/]  {escape(line.detail)}"
        out.print(text, highlight=False, soft_wrap=True)
    for sent in results:
        where = f"{sent.destination}: {sent.state}  {sent.reason}" if sent.destination else "owed to nobody"
        out.print(f"result {sent.role} {sent.sop_instance_uid} → {escape(where)}", highlight=False, soft_wrap=True)


@app.command()
def route(paths: PathsArgument, config_file: ConfigOption = None) -> None:
    """Which rules would match these files, clause by clause."""
    from dicomnode.flow.offline import matches, studies_in
    from dicomnode.flow.plan import explain

    settings = _settings(config_file)
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


@app.command()
def retry(study: StudyArgument, config_file: ConfigOption = None) -> None:
    """Run the failed jobs of a study again, and send its failed deliveries again; ends a hold."""
    from dicomnode.flow.operate import retry as act

    db, files = _store(_settings(config_file))
    out.print(act(db, files, study))


@app.command()
def rerun(study: StudyArgument, config_file: ConfigOption = None) -> None:
    """Analyse a study again under new UIDs, with the rules and models as they are now."""
    from dicomnode.flow.operate import rerun as act

    db, files = _store(_settings(config_file))
    out.print(act(db, files, study))


@app.command()
def cancel(study: StudyArgument, config_file: ConfigOption = None) -> None:
    """Cancel what still waits for a study."""
    from dicomnode.flow.operate import cancel as act

    db, files = _store(_settings(config_file))
    out.print(act(db, files, study))


@models_app.command("list")
def models_list(folder: Annotated[Path | None, typer.Option(help="Folder of bundles.")] = None) -> None:
    """Every bundle, and what is wrong with those that cannot be used."""
    from dicomnode.infer.bundle.load import find_bundles

    bundles, broken = find_bundles(folder or config.shipped("models"))
    table = Table("name", "version", "status", "title", box=None, pad_edge=False)
    for name, spec in bundles.items():
        table.add_row(*map(escape, (name, spec.version, str(spec.status), spec.title)))
    out.print(table)
    for name, error in broken.items():
        out.print(f"[red]broken[/] {escape(f'{name}: {error}')}", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if broken else 0)


@models_app.command("show")
def models_show(name: str, folder: Annotated[Path | None, typer.Option(help="Folder of bundles.")] = None) -> None:
    """What a bundle declares, and its card."""
    from dicomnode.flow.preflight_models import CARD, card

    spec = _bundle(folder or config.shipped("models"), name)
    declared = (spec.folder / "model.toml").read_text(encoding="utf-8")
    for text in (declared, card(spec) or f"no {CARD}"):
        out.print(text, markup=False, highlight=False, soft_wrap=True)


@models_app.command("verify")
def models_verify(
    name: Annotated[str, typer.Argument(help="A bundle; every bundle when left out.")] = "",
    folder: Annotated[Path | None, typer.Option(help="Folder of bundles.")] = None,
) -> None:
    """Check hash and card of bundles and load their networks; exit status 1 if anything is not as declared."""
    from dicomnode.flow.preflight_models import verified
    from dicomnode.flow.verdict import Verdict

    found = list(verified(folder or config.shipped("models"), name))
    failed = [one for one in found if one.verdict is Verdict.FAIL]
    _verdicts([one for one in found if one not in failed])
    _verdicts(failed, err)
    raise typer.Exit(1 if failed else 0)


@app.command()
def version() -> None:
    """Print the version."""
    out.print(__version__)


def main() -> None:
    """Run the command; faults of configuration exit with 2, other faults of ours with 1."""
    try:
        app()
    except ConfigError as error:
        _also_json(error)
        for fault in error.faults:
            err.print(
                f"[red]{escape(fault.key)}[/] = {fault.value!r}: {escape(fault.remedy)}",
                highlight=False,
                soft_wrap=True,
            )
        sys.exit(2)
    except DicomNodeError as error:
        _also_json(error)
        err.print(f"[red]failed:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)


def _settings(config_file: Path | None) -> config.Settings:
    return config.load(config.find_file(config_file))


def _store(settings: config.Settings) -> Any:
    from dicomnode.node import open_store

    return open_store(settings)


def _peer(settings: config.Settings, name: str) -> Any:
    peer = settings.peer(name)
    if peer is None:
        raise typer.BadParameter(f"no peer named {name}; known: {', '.join(one.name for one in settings.peers)}")
    return peer


def _bundle(folder: Path, name: str) -> Any:
    from dicomnode.infer.bundle.load import load_bundle

    return load_bundle(folder / name)


def _also_json(error: DicomNodeError) -> None:
    if "--json" in sys.argv:
        from dicomnode.flow.outcome_json import error_as_json

        _json(error_as_json(error))


@contextmanager
def _analysing(as_json: bool) -> Iterator[None]:
    """Tells why there is nothing to analyse; of faults of a bundle people are told by `main`."""
    from dicomnode.flow.outcome_json import error_as_json

    try:
        yield
    except DicomNodeError as error:
        faulty = isinstance(error, ConfigError)
        if as_json:
            _json({"analysed": False, **error_as_json(error)})
        elif faulty:
            raise
        else:
            err.print(f"[red]not analysed:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(2 if faulty else 1) from None


@contextmanager
def _stages() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr for every stage that is told of."""
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage)
            bar.update(tasks[stage], completed=done, total=total)

        yield tell


def _fresh(folder: Path) -> Path:
    """The folder, or a numbered one beside it when it was used before."""
    number = 1
    candidate = folder
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def _json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def _verdicts(found: Iterable[Any], to: Console = out) -> None:
    """One line for each check, with its remedy."""
    from dicomnode.flow.listing import listed

    lines = ((one.verdict, f"{one.subject}: {' → '.join(filter(None, (one.found, one.remedy)))}") for one in found)
    to.print(listed(lines), highlight=False)
