"""Every verb says what it does and shows a line that can be typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from dicomnode.cli import app


def verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, one in getattr(command, "commands", {}).items():
        if getattr(one, "commands", None):
            yield from verbs(one, (*path, name))
        elif not one.hidden:
            yield (*path, name), one


ALL = dict(verbs(get_command(app)))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_a_verb_has_an_example_with_options_that_it_knows(path: tuple[str, ...]) -> None:
    verb = ALL[path]
    text = verb.help or ""
    examples = re.findall(r"Example: (dicomnode .+?)(?:\n\n|\Z)", text, re.DOTALL)
    assert examples, f"{' '.join(path)}: {text}"
    known = {option for one in verb.params for option in (*one.opts, *getattr(one, "secondary_opts", ()))}
    for example in examples:
        words = shlex.split(example)
        assert tuple(words[1 : 1 + len(path)]) == path, example
        options = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert options <= known, f"{example}: {options - known}"
        needed = {one.opts[0] for one in verb.params if one.required and one.opts[0].startswith("--")}
        # What is asked for on the terminal need not stand in the example.
        asked = {one.opts[0] for one in verb.params if getattr(one, "prompt", None)}
        assert needed - asked <= options, f"{example}: {needed - options}"


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_the_first_sentence_of_a_verb_tells_what_it_does(path: tuple[str, ...]) -> None:
    first = (ALL[path].help or "").split("\n\n")[0]
    assert first.endswith("."), first
    assert first[0].isupper(), first


def test_every_option_has_a_word_of_help() -> None:
    silent = [
        f"{' '.join(path)} {one.opts[0]}" for path, verb in ALL.items() for one in verb.params
        if one.opts[0].startswith("-") and not getattr(one, "hidden", False) and not one.help
    ]  # fmt: skip
    assert silent == []
