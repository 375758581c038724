"""Until when certificates are valid."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicomnode.tls.expiry import validities
from tests.certificates import Authority


def test_every_certificate_of_a_file_is_read_as_openssl_reads_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    both = tmp_path / "chain.pem"
    leaf = authority.issue("node", days=10).certificate
    both.write_bytes(b"a comment\n" + leaf.read_bytes() + authority.certificate.read_bytes())

    found = validities(both)

    assert [one.subject for one in found] == ["O=Hospital, CN=node", "O=Hospital, CN=Test authority"]
    told = subprocess.run(
        ["openssl", "x509", "-in", str(leaf), "-noout", "-enddate"], capture_output=True, text=True, check=True
    )
    end = datetime.strptime(told.stdout.split("=")[1].strip(), "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC)
    assert found[0].ends == end
    assert found[0].days_left(end - timedelta(days=3, hours=1)) == 3
    assert found[0].days_left(end + timedelta(hours=1)) == -1


def test_a_file_without_a_readable_certificate_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n")
    with pytest.raises(OSError):
        validities(broken)
