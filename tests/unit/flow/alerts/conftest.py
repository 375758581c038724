"""Certificates and a message for tests of alerts."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicomnode.domain.notice import Message, Notice, Topic
from tests.certificates import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tls(authority: Authority) -> ssl.SSLContext:
    """What a server on this machine shows."""
    identity = authority.issue("receiver")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    return context


@pytest.fixture
def message() -> Message:
    at = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
    notice = Notice(
        topic=Topic.URGENT, happened_at=at, text='model toy found: "Dense" 100 %', study_instance_uid="1.2.3", rule="r"
    )
    counts = {Topic.URGENT: 1, Topic.FAILED: 30}
    return Message(message_id="abc123", notify="desk", made_at=at, notices=(notice,), counts=counts)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("correct horse\n")
    path.chmod(0o600)
    return path
