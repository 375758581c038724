"""An authority that issues certificates for a test, by the command of OpenSSL."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Identity:
    """A certificate and its private key."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates below `folder`; the test is skipped where there is no `openssl`."""

    def __init__(self, folder: Path, name: str = "Test authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key, self.certificate = folder / "ca.key", folder / "ca.pem"
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256",
            "-days", "3650", "-subj", f"/O=Hospital/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-keyout", self._key, "-out", self.certificate,
        )  # fmt: skip

    def issue(self, name: str, *, days: int = 365, rsa: bool = False, alternative: str = "") -> Identity:
        """A certificate of `/O=Hospital/CN=<name>` for `localhost` and 127.0.0.1, or what `alternative` names.

        Parameters
        ----------
        days
            For how long it is valid from now on; negative for one that has expired already.
        rsa
            Whether the key is one of RSA, 2048 bits, instead of P-256.
        """
        key, request, certificate = (self._folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        _openssl(
            "req", "-newkey", *kind, "-nodes", "-sha256", "-subj", f"/O=Hospital/CN={name}",
            "-keyout", key, "-out", request,
        )  # fmt: skip
        extensions = self._folder / f"{name}.ext"
        names = alternative or "DNS:localhost,IP:127.0.0.1"
        extensions.write_text(f"basicConstraints=CA:FALSE\nsubjectAltName={names}\n")
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-sha256",
            "-days", str(days), "-extfile", extensions, "-out", certificate,
        )  # fmt: skip
        key.chmod(0o600)
        return Identity(certificate=certificate, key=key)


def _openssl(*arguments: str | Path) -> None:
    tool = shutil.which("openssl")
    if tool is None:
        pytest.skip("needs the command openssl; Debian package openssl")
    done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
