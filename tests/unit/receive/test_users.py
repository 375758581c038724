"""The file of users and their hashed passcodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.domain.errors import ConfigError
from dicomnode.receive.users import Users, hashed


def test_a_line_does_not_tell_its_passcode_and_no_two_are_the_same() -> None:
    one, other = hashed("scanner", "open sesame"), hashed("scanner", "open sesame")
    assert "open" not in one and one != other


@pytest.mark.parametrize("name", ["", "a:b", "#a", "a b"])
def test_a_name_that_would_break_its_line_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        hashed(name, "x")


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        ("scanner:c2FsdA==:aGFzaA==\n", 0o644, "chmod 0600"),
        ("scanner:open sesame\n", 0o600, "line 1 is no user"),
        ("# users\nscanner:salt!:aGFzaA==\n", 0o600, "line 2 is no user"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_not_used(tmp_path: Path, content: str, mode: int, told: str) -> None:
    path = tmp_path / "users"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=told):
        Users(path)
