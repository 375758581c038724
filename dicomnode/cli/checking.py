"""The verb that tests the node: what stands in its way, and whether a study goes all the way through it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Annotated, Any, NoReturn

import typer

from dicomnode import config
from dicomnode.cli.console import ConfigOption, JsonOption, err, load_settings, out, store, verbs, verdicts, write_json

app = verbs("")

#: Exit status where there are warnings and nothing fails.
_WARNED = 3


@app.command()
def check(
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
    quick: Annotated[bool, typer.Option("--quick", help="Call nobody and run no model.")] = False,
    round_trip: Annotated[
        bool, typer.Option("--round-trip", help="Send a made study through the running node instead.")
    ] = False,
    rule: Annotated[str, typer.Option(help="Rule that the made study goes by; else the first that takes it.")] = "",
    peer: Annotated[str, typer.Option(help="Peer that gets the results; else the first that may have them.")] = "",
    patience: Annotated[float, typer.Option(help="Seconds until a round trip is given up.", min=1, max=3600)] = 600,
) -> None:
    """Test all that a call to support would ask for, with remedies; or the whole path with a made study.

    Exit status 0: all is well, 3: warnings alone, 1: something fails, 2: the configuration cannot be read.

    Example: dicomnode check --config /etc/dicomnode/dicomnode.toml

    Example: dicomnode check --round-trip --rule chest-ct --peer PACS
    """
    if (rule or peer) and not round_trip:
        raise typer.BadParameter("--rule and --peer say how a made study travels; add --round-trip")
    settings = load_settings(config_file)
    if round_trip:
        _tell(_travelling(settings, rule, peer, patience), as_json, at_once=True)
    with err.status("looking at everything, calling everybody …"):
        found = list(_testing(settings, quick))
    _tell(found, as_json)


def _testing(settings: config.Settings, quick: bool) -> Iterator[Any]:
    from dicomnode.flow.preflight.checks import check as checks

    return checks(settings, quick=quick)


def _travelling(settings: config.Settings, rule: str, peer: str, patience: float) -> Iterator[Any]:
    from dicomnode.flow.round_trip.journey import Journey, travel

    db, files = store(settings)
    return travel(db, files, settings, Journey(rule=rule, peer=peer, patience_seconds=patience))


def _tell(found: Iterable[Any], as_json: bool, *, at_once: bool = False) -> NoReturn:
    """Print what was found, on demand each as soon as it is, and leave with the status of the worst of it."""
    from dicomnode.flow.verdict import Verdict

    told = []
    for one in found:
        told.append(one)
        if at_once and not as_json:
            verdicts([one])
    if as_json:
        write_json([asdict(one) for one in told])
    elif not at_once:
        verdicts(told)
    count = {verdict: sum(one.verdict is verdict for one in told) for verdict in Verdict}
    if not as_json:
        text = ", ".join(f"{number} {verdict}" for verdict, number in count.items() if number)
        out.print(f"{len(told)} checks: {text}", highlight=False)
    raise typer.Exit(1 if count[Verdict.FAIL] else _WARNED if count[Verdict.WARN] else 0)
