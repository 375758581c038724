"""Verbs on what the store holds: status, the story of a study, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dicomnode.cli.console import ConfigOption, JsonOption, StudyArgument, load_settings, out, store, verbs, write_json

app = verbs("")


@app.command()
def status(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """How many studies, jobs and deliveries stand where, and what wants an eye.

    Example: dicomnode status --json
    """
    from dicomnode.flow.show import show_backlog
    from dicomnode.store.story import Story

    backlog = Story(store(load_settings(config_file))[0]).backlog()
    write_json(asdict(backlog)) if as_json else show_backlog(backlog, out)


@app.command()
def why(
    study: StudyArgument,
    times: Annotated[bool, typer.Option("--times", help="Where the time went, instead of the story.")] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell the story of a study, or where its time went.

    Example: dicomnode why 1.2.840.113619.2.55 --times
    """
    from dicomnode.flow.operate import find
    from dicomnode.flow.show import show_story, show_times
    from dicomnode.flow.shown.spans import spans
    from dicomnode.store.story import Story

    db, _ = store(load_settings(config_file))
    story, uid = Story(db), find(db, study)
    lines, results = story.why(uid), story.results(uid)
    if times:
        found = spans(lines, story.arrivals(uid))
        write_json({"study": uid, "times": [asdict(one) for one in found]}) if as_json else show_times(uid, found, out)
    elif as_json:
        write_json({"study": uid, "story": [asdict(one) for one in lines], "results": [asdict(one) for one in results]})
    else:
        show_story(uid, lines, results, out)


@app.command()
def retry(study: StudyArgument, config_file: ConfigOption = None) -> None:
    """Run the failed jobs of a study again, and send its failed deliveries again; ends a hold.

    Example: dicomnode retry 1.2.840.113619.2.55
    """
    from dicomnode.flow.audited.trail import tell_act
    from dicomnode.flow.operate import retry as act

    settings = load_settings(config_file)
    db, files = store(settings)
    tell_act(db, settings, study, "retry: what failed is tried again, a hold ends")
    out.print(act(db, files, study))


@app.command()
def rerun(
    study: StudyArgument,
    of_what_is_here: Annotated[
        str, typer.Option(help="Why objects that were removed do not come back; the result says so.")
    ] = "",
    config_file: ConfigOption = None,
) -> None:
    """Analyse a study again under new UIDs, with the rules and models as they are now.

    Example: dicomnode rerun 1.2.840.113619.2.55
    """
    from dicomnode.flow.audited.trail import tell_act
    from dicomnode.flow.operate import rerun as act

    settings = load_settings(config_file)
    db, files = store(settings)
    tell_act(db, settings, study, "rerun: analysed again")
    out.print(act(db, files, study, of_what_is_here.strip()))


@app.command()
def retract(
    study: StudyArgument,
    reason: Annotated[str, typer.Option(help="Why, in words for those who have read the results.")],
    code: Annotated[str, typer.Option(help="quality, safety or worklist: the kind of reason in code.")] = "quality",
    config_file: ConfigOption = None,
) -> None:
    """Take back every result of a study that was sent, where it was sent, and cancel what was not.

    Example: dicomnode retract 1.2.840.113619.2.55 --reason "another patient" --code safety
    """
    from dicomnode.flow.audited.trail import tell_act
    from dicomnode.flow.retract import retract as act

    settings = load_settings(config_file)
    db, files = store(settings)
    tell_act(db, settings, study, f"retract: {reason}")
    out.print(act(db, files, settings, study, reason, code), markup=False, highlight=False, soft_wrap=True)


@app.command()
def cancel(study: StudyArgument, config_file: ConfigOption = None) -> None:
    """Cancel what still waits for a study.

    Example: dicomnode cancel 1.2.840.113619.2.55
    """
    from dicomnode.flow.audited.trail import tell_act
    from dicomnode.flow.operate import cancel as act

    settings = load_settings(config_file)
    db, files = store(settings)
    tell_act(db, settings, study, "cancel: what waits is dropped")
    out.print(act(db, files, study))
