"""The secret that pseudonyms depend on: from a file that nobody else can read, or from systemd."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from dicomnode.deident.pseudonym import SHORTEST_SECRET_BYTES
from dicomnode.domain.errors import ConfigError, Fault

#: What systemd calls it (`LoadCredential=`, systemd.exec(5)).
CREDENTIAL = "deidentify-secret"
_KEY = "deidentify.secret_file"


def read_secret(named: str) -> bytes:
    """The secret of the pseudonyms, from the file named or else from systemd's credential.

    Raises
    ------
    ConfigError
        If there is none, if it is short, or if others can read it.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    path = Path(named) if named else Path(folder) / CREDENTIAL if folder else None
    if path is None:
        remedy = f"name a file of {SHORTEST_SECRET_BYTES} random bytes, or give the unit LoadCredential={CREDENTIAL}:…"
        raise ConfigError([Fault(key=_KEY, value=named, remedy=remedy)])
    try:
        secret, mode = path.read_bytes(), path.stat().st_mode
    except OSError as error:
        raise ConfigError([Fault(key=_KEY, value=str(path), remedy=str(error.strerror))]) from error
    if len(secret) < SHORTEST_SECRET_BYTES:
        remedy = f"it holds {len(secret)} bytes; {SHORTEST_SECRET_BYTES} are needed, such as `openssl rand 32` writes"
        raise ConfigError([Fault(key=_KEY, value=str(path), remedy=remedy)])
    if named and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError([Fault(key=_KEY, value=str(path), remedy="others can read it; chmod 600")])
    return secret


def secret_for(path: Path | None) -> bytes:
    """The secret in a file, which is made where there is none; without a file one that is forgotten."""
    fresh = secrets.token_bytes(32)
    if path is None:
        return fresh
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_secret(str(path))
    except OSError as error:
        raise ConfigError([Fault(key="--secret", value=str(path), remedy=str(error.strerror))]) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(fresh)
    return fresh
