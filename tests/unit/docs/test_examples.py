"""Examples in the documents are what the program understands: configurations, command lines, JSON, links."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from dicomnode.cli import app
from dicomnode.config import parse
from dicomnode.infer.bundle.schema import Bundle
from release.reference.configuration import tables
from tests.unit.docs.documents import DOCS, PAGES, ROOT, blocks, command_lines, named, prose

CONFIGURATIONS = [
    (page, number, block)
    for page in PAGES
    for number, block in enumerate(blocks(page, "toml"))
    if set(tomllib.loads(block)) & set(tables())
]

#: Of a node, without which a fragment could not stand alone.
PEERS = {
    name: {"name": name, "aet": name, "host": "127.0.0.1", "port": 104, "accept_research": True}
    for name in ("PACS", "VNA", "BACKUP", "CT1")
}
RULE = {"name": "rule", "model": "m", "destinations": ["sender"], "series": {"Modality": "CT"}}
SECURE = {"certificate": "node.pem", "key": "node.key", "ca": "ca.pem"}


def completed(fragment: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration that holds the fragment, with what it refers to and leaves to another place."""
    made = {key: value for key, value in fragment.items() if key not in ("peer", "rule")}
    given = {one.get("name", ""): one for one in fragment.get("peer", ())}
    peers = {**PEERS, **{name: {**PEERS.get(name, PEERS["PACS"]), **one} for name, one in given.items()}}
    rules = [{**RULE, **one} for one in fragment.get("rule", ())]
    names = {one["name"] for one in rules}
    told = {name for one in fragment.get("notify", ()) for name in one.get("rules", ())}
    rules += [{**RULE, "name": name} for name in sorted(told - names)]
    if made.get("stow") or any(
        one.get(key) for key in ("tls", "certificate_subject", "stow") for one in peers.values()
    ):
        made["tls"] = {**SECURE, **made.get("tls", {})}
    return {**made, "peer": list(peers.values()), "rule": rules}


def test_there_are_examples_of_configurations() -> None:
    assert len(CONFIGURATIONS) >= 15


@pytest.mark.parametrize(
    ("page", "block"),
    [(page, block) for page, _, block in CONFIGURATIONS],
    ids=[f"{named(page)}-{number}" for page, number, _ in CONFIGURATIONS],
)
def test_an_example_of_a_configuration_loads(page: Path, block: str) -> None:
    assert parse(completed(tomllib.loads(block))).peers


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_block_of_toml_is_a_configuration_or_a_bundle(page: Path) -> None:
    bundle = {field.alias or name for name, field in Bundle.model_fields.items()}
    for block in blocks(page, "toml"):
        assert set(tomllib.loads(block)) <= set(tables()) | bundle | {"plausible"}, block


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_block_of_json_can_be_read(page: Path) -> None:
    for block in blocks(page, "json"):
        assert json.loads(block if block.lstrip().startswith("{") else f"{{{block}}}")


def understood(line: str, *, whole: bool) -> None:
    """Hold one line against the command; `whole` asks for every argument and option that is required."""
    words = shlex.split(line, comments=True)[1:]
    ends = [at for at, word in enumerate(words) if word in (">", ">>", "|", "&&", ";")]
    words = words[: ends[0]] if ends else words
    words = [word for word in words if word not in ("--debug", "…", "...")]
    command: Any = get_command(app)
    while words and getattr(command, "commands", None):
        if words[0].startswith("--help"):
            return
        assert words[0] in command.commands, f"{line}: there is no verb {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    if getattr(command, "commands", None):
        assert not whole, f"{line}: a verb is missing"
        return
    # Typer's parser knows every option and how many values it takes, and asks neither the disk nor the terminal.
    parser = command.make_parser(command.context_class(command, info_name=line))
    given, more, _ = parser.parse_args([word for word in words if word != "--help"])
    assert more == [], f"{line}: {more} is too much"
    if whole:
        lacking = [one.name for one in command.params if one.required and not given.get(one.name) and not prompted(one)]
        assert lacking == [], f"{line}: {lacking} is missing"


def prompted(parameter: Any) -> bool:
    return bool(getattr(parameter, "prompt", None))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_line_is_one_that_the_program_understands(page: Path) -> None:
    for line in command_lines(page):
        understood(line, whole=True)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_verb_in_the_text_exists_with_its_options(page: Path) -> None:
    for line in re.findall(r"`(dicomnode [^`\n]+)`", prose(page)):
        plain = line.replace("\\|", "|")
        verbs = re.search(r"\w+(\|\w+)+", plain)
        for one in verbs[0].split("|") if verbs else [""]:
            understood(plain.replace(verbs[0], one) if verbs else plain, whole=False)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CHANGELOG.md"], ids=named)
def test_every_link_of_the_readme_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [one for one in links if "://" not in one and not (page.parent / one).exists()] == []


def test_every_figure_of_the_sizing_page_was_measured() -> None:
    page = (DOCS / "howto" / "size.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|.*\d\.\d.*\|$", page, re.MULTILINE)
    measured = (ROOT / "bench" / "RESULTS.md").read_text(encoding="utf-8")
    assert rows
    assert [row for row in rows if row not in measured] == []


def test_the_safety_page_says_first_what_this_is_not() -> None:
    page = (DOCS / "safety.md").read_text(encoding="utf-8")
    assert "is not a medical device" in page.split("\n")[2]
    risks = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", page.split("## Risks")[1], re.MULTILINE)
    assert len(risks) > 10
    assert all(risk and does and site for risk, does, site in risks)
