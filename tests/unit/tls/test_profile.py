"""The profiles are what OpenSSL can do and what the document says."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest

from dicomnode.domain.network import TlsProfile
from dicomnode.tls.profile import PROFILES

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "security.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("profile", list(TlsProfile))
def test_openssl_knows_every_suite_and_none_is_without_forward_secrecy(profile: TlsProfile) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(PROFILES[profile].openssl)
    known = {each["name"]: each for each in context.get_ciphers()}
    assert set(known) == {*PROFILES[profile].tls_1_2, *PROFILES[profile].tls_1_3}
    for name in PROFILES[profile].tls_1_2:
        assert name.startswith("ECDHE-") and known[name]["aead"] and known[name]["strength_bits"] >= 128


def test_the_table_of_the_document_is_the_profiles() -> None:
    for column, profile in enumerate(TlsProfile):
        rows = re.findall(r"^\| TLS 1\.2 `(\S+)` \| (\w+) \| (\w+) \|$", DOCUMENT, re.MULTILINE)
        assert tuple(name for name, *answers in rows if answers[column] == "yes") == PROFILES[profile].tls_1_2
    thirteen = re.findall(r"^\| TLS 1\.3 (.+?) \| yes \| yes \|$", DOCUMENT, re.MULTILINE)
    assert re.findall(r"`(\S+?)`", thirteen[0]) == list(PROFILES[TlsProfile.BCP195].tls_1_3)
