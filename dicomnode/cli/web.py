"""Verbs on who may use the dashboard and the REST interface: people and tokens."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dicomnode.cli.console import ConfigOption, JsonOption, load_settings, out, store, verbs, write_json
from dicomnode.domain.role import Account, Role

app = verbs("Who may use the dashboard and the REST interface.")
user = verbs("People, who sign in with a passcode.")
token = verbs("Tokens of programs that use the REST interface.")
app.add_typer(user, name="user")
app.add_typer(token, name="token")

RoleOption = Annotated[
    Role,
    typer.Option(
        "--role", help="sender (a token) only stores, viewer reads, operator also acts, administrator manages."
    ),
]
NamesOption = Annotated[bool, typer.Option("--names", help="May see who the patients are.")]


@user.command("add")
def user_add(
    name: str,
    passcode: Annotated[
        str,
        typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for; best not in a command."),
    ],
    role: RoleOption = Role.VIEWER,
    names: NamesOption = False,
    config_file: ConfigOption = None,
) -> None:
    """Let a person sign in; the first administrator is made here.

    Example: dicomnode web user add anna --role administrator
    """
    _accounts(config_file).add_person(name, passcode, role, sees_names=names)
    out.print(f"{name} may sign in as {role}", markup=False, highlight=False)


@user.command("list")
def user_list(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Who may sign in.

    Example: dicomnode web user list
    """
    from dicomnode.store.web_people import WebPeople

    _show(WebPeople(store(load_settings(config_file))[0]).all(), as_json=as_json)


@user.command("remove")
def user_remove(name: str, config_file: ConfigOption = None) -> None:
    """Forget a person; their sessions end at once.

    Example: dicomnode web user remove anna
    """
    _accounts(config_file).remove_person(name)
    out.print(f"{name} may not sign in any more", markup=False, highlight=False)


@token.command("add")
def token_add(
    name: str,
    role: RoleOption = Role.VIEWER,
    names: NamesOption = False,
    days: Annotated[float, typer.Option(help="How long it is valid; 0: until it is revoked.", min=0, max=3650)] = 0,
    config_file: ConfigOption = None,
) -> None:
    """Make a token and print it, this once; only its digest is kept.

    Example: dicomnode web token add prometheus --role viewer
    """
    made = _accounts(config_file).add_token(name, role, sees_names=names, days=days)
    # Alone on its line, so that a script can take it.
    sys.stdout.write(made + "\n")


@token.command("list")
def token_list(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every token, also those that have expired; what they are is not known here.

    Example: dicomnode web token list
    """
    from dicomnode.store.web_tokens import WebTokens

    _show(WebTokens(store(load_settings(config_file))[0]).all(), as_json=as_json)


@token.command("revoke")
def token_revoke(name: str, config_file: ConfigOption = None) -> None:
    """Forget a token; nobody gets in with it any more.

    Example: dicomnode web token revoke prometheus
    """
    _accounts(config_file).revoke_token(name)
    out.print(f"token {name} is revoked", markup=False, highlight=False)


def _accounts(config_file: Any) -> Any:
    """The accounts, changed by whoever runs this command."""
    from dicomnode.audit.message import this_person
    from dicomnode.flow.asked.accounts import Accounts

    settings = load_settings(config_file)
    return Accounts(store(settings)[0], settings, this_person())


def _show(accounts: list[Account], *, as_json: bool) -> None:
    if as_json:
        write_json([asdict(one) for one in accounts])
        return
    table = Table("name", "role", "sees names", "since", "until", box=None, pad_edge=False)
    for one in accounts:
        names, until = "yes" if one.sees_names else "no", one.expires_at[:16]
        table.add_row(escape(one.name), str(one.role), names, one.added_at[:16], until)
    out.print(table if accounts else "none")
