"""TLS: who gets in, which versions and suites, what happens when certificates change; against OpenSSL and DCMTK."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

from dicomnode.deliver.dimse import Outgoing, Timeouts, echo, send
from dicomnode.domain.errors import ConfigError, PeerUnreachable
from dicomnode.domain.network import Peer, Tls, TlsProfile
from dicomnode.receive.admission import Admission
from dicomnode.receive.limits import Limits
from dicomnode.receive.scp import Listener, Secure
from dicomnode.receive.users import Users, hashed
from dicomnode.tls.credentials import Credentials
from dicomnode.tls.profile import PROFILES
from tests.certificates import Authority, Identity
from tests.integration.dimse.conftest import Recorder

Start = Callable[..., Listener]
TIMEOUTS = Timeouts(connect_seconds=5, acse_seconds=10, dimse_seconds=10)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def node(authority: Authority) -> Identity:
    return authority.issue("node")


@pytest.fixture(scope="module")
def scanner(authority: Authority) -> Identity:
    return authority.issue("ct1")


def tls(authority: Authority, identity: Identity | None, **more: Any) -> Tls:
    certificate, key = (identity.certificate, identity.key) if identity is not None else (None, None)
    return Tls(ca=authority.certificate, certificate=certificate, key=key, **more)


@pytest.fixture
def listen_secure(authority: Authority, node: Identity, recorder: Recorder, incoming: Path) -> Iterator[Start]:
    """Starts a listener called NODE with a plain and a TLS port, and stops it at the end."""
    listeners: list[Listener] = []

    def start(
        *,
        identity: Identity = node,
        peers: tuple[Peer, ...] = (),
        required: bool = True,
        users: Users | None = None,
        only: bool = False,
        profile: TlsProfile = TlsProfile.BCP195,
        **limits: Any,
    ) -> Listener:
        credentials = Credentials(tls(authority, identity, profile=profile), server=True, required=required)
        listener = Listener(
            aets=["NODE"],
            host="127.0.0.1",
            port=0,
            admission=Admission(peers=peers, called_aets=frozenset({"NODE"}), accept_unknown=not peers),
            intake=recorder,
            incoming=incoming,
            limits=Limits(**limits),
            secure=Secure(port=0, credentials=credentials, users=users, only=only),
        )
        listener.start()
        listeners.append(listener)
        return listener

    yield start
    for listener in listeners:
        listener.stop(0)


def call(listener: Listener, secure: Tls | None, **more: Any) -> float:
    """Ask the listener for C-ECHO as CT1, with our own client; raises where that fails."""
    port = listener.secure_port if secure else listener.port
    peer = Peer(name="node", aet="NODE", host="127.0.0.1", port=port, tls=secure, **more)
    return echo(peer, calling_aet="CT1", timeouts=TIMEOUTS)


def handshake(listener: Listener, context: ssl.SSLContext) -> tuple[str, str]:
    """Version and cipher suite that a client of `context` and the listener agree on; SSLError where there is none."""
    with (
        socket.create_connection(("127.0.0.1", listener.secure_port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        version, suite = secured.version(), secured.cipher()
        assert version is not None and suite is not None
        return version, suite[0]


def client(authority: Authority, identity: Identity) -> ssl.SSLContext:
    """A client that would speak anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.certificate)
    context.load_cert_chain(identity.certificate, identity.key)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return context


def test_plain_and_tls_are_answered_side_by_side(listen_secure: Start, authority: Authority, scanner: Identity) -> None:
    listener = listen_secure()
    assert listener.port != listener.secure_port
    assert call(listener, None) > 0
    assert call(listener, tls(authority, scanner)) > 0


def test_with_only_the_plain_port_is_closed(listen_secure: Start, authority: Authority, scanner: Identity) -> None:
    listener = listen_secure(only=True)
    assert listener.port == 0
    assert call(listener, tls(authority, scanner)) > 0


def test_a_caller_without_certificate_does_not_get_in(
    listen_secure: Start, authority: Authority, recorder: Recorder
) -> None:
    with pytest.raises(PeerUnreachable, match=r"no TLS connection: .*certificate required"):
        call(listen_secure(), tls(authority, None))
    assert recorder.news == []


def test_a_caller_without_certificate_gets_in_where_none_is_required(
    listen_secure: Start, authority: Authority
) -> None:
    assert call(listen_secure(required=False), tls(authority, None)) > 0


def test_a_certificate_of_a_foreign_authority_does_not_get_in(
    listen_secure: Start, authority: Authority, tmp_path: Path, recorder: Recorder
) -> None:
    stranger = Authority(tmp_path / "other", "Other").issue("ct1")
    with pytest.raises(PeerUnreachable, match="unknown ca"):
        call(listen_secure(), tls(authority, stranger))
    assert recorder.news == []


def test_an_expired_certificate_does_not_get_in(listen_secure: Start, authority: Authority, recorder: Recorder) -> None:
    with pytest.raises(PeerUnreachable, match="certificate expired"):
        call(listen_secure(), tls(authority, authority.issue("old", days=-1)))
    assert recorder.news == []


def test_a_peer_whose_certificate_is_of_nobody_we_believe_is_not_sent_to(
    listen_secure: Start, authority: Authority, scanner: Identity, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other", "Other")
    with pytest.raises(PeerUnreachable, match="self-signed certificate in certificate chain"):
        call(listen_secure(), tls(other, scanner))


def test_a_peer_whose_certificate_is_for_another_host_is_not_sent_to(
    listen_secure: Start, authority: Authority, scanner: Identity
) -> None:
    listener = listen_secure(identity=authority.issue("elsewhere", alternative="DNS:pacs.hospital.example"))
    with pytest.raises(PeerUnreachable, match=r"(?i)ip address mismatch"):
        call(listener, tls(authority, scanner))
    # Named by its certificate, the host no longer counts.
    assert call(listener, tls(authority, scanner), certificate_subject="DNS=PACS.hospital.example") > 0
    with pytest.raises(PeerUnreachable, match="its certificate is of 'O=Hospital, CN=elsewhere', expected 'CN=pacs'"):
        call(listener, tls(authority, scanner), certificate_subject="CN=pacs")


def test_a_certificate_opens_the_door_to_its_own_ae_title_alone(
    listen_secure: Start, authority: Authority, scanner: Identity
) -> None:
    peer = Peer(name="ct1", aet="CT1", host="127.0.0.1", port=104, certificate_subject="CN=ct1, O=Hospital")
    listener = listen_secure(peers=(peer,))
    assert call(listener, tls(authority, scanner)) > 0
    with pytest.raises(PeerUnreachable, match="calling AE title not recognised"):
        call(listener, tls(authority, authority.issue("ct2")))
    with pytest.raises(PeerUnreachable, match="calling AE title not recognised"):
        call(listener, None)


def test_objects_arrive_over_tls_as_they_were_sent(
    listen_secure: Start,
    authority: Authority,
    scanner: Identity,
    recorder: Recorder,
    outgoing: Callable[..., Outgoing],
    digest_of: Callable[[Path], str],
) -> None:
    """Also larger ones than a record of TLS and a PDU of the node."""
    listener = listen_secure()
    files = [outgoing(number, PixelData=bytes(512 * 1024 * number)) for number in (1, 2, 3)]
    peer = Peer(
        name="node", aet="NODE", host="localhost", port=listener.secure_port, tls=tls(authority, scanner)
    )  # fmt: skip
    receipts = list(send(peer, files, calling_aet="CT1", timeouts=TIMEOUTS))
    assert [receipt.stored for receipt in receipts] == [True] * 3
    assert [recorder.content[file.sop_instance_uid] for file in files] == [
        file.path.read_bytes()[144 + int.from_bytes(file.path.read_bytes()[140:144], "little") :] for file in files
    ]


def test_a_new_certificate_counts_from_the_next_association_and_open_ones_go_on(
    listen_secure: Start, authority: Authority, scanner: Identity, tmp_path: Path
) -> None:
    first, second = authority.issue("first"), authority.issue("second")
    shown = Identity(certificate=tmp_path / "node.pem", key=tmp_path / "node.key")
    shutil.copy(first.certificate, shown.certificate)
    shutil.copy(first.key, shown.key)
    listener = listen_secure(identity=shown)
    ae = AE(ae_title="CT1")
    ae.add_requested_context("1.2.840.10008.1.1")
    running = ae.associate(
        "127.0.0.1", listener.secure_port, ae_title="NODE", tls_args=(client(authority, scanner), "localhost")
    )
    assert running.is_established
    me = tls(authority, scanner)
    assert call(listener, me, certificate_subject="CN=first") > 0

    # Between the two files the pair does not fit together: the old one goes on.
    shutil.copy(second.certificate, shown.certificate)
    assert call(listener, me, certificate_subject="CN=first") > 0
    shutil.copy(second.key, shown.key)
    assert call(listener, me, certificate_subject="CN=second") > 0
    assert running.send_c_echo().Status == 0x0000
    running.release()


def test_a_peer_that_dribbles_its_handshake_holds_up_nobody_and_is_dropped(
    listen_secure: Start, authority: Authority, scanner: Identity
) -> None:
    listener = listen_secure(acse_timeout_seconds=1.0)
    with socket.create_connection(("127.0.0.1", listener.secure_port), timeout=20) as slow:
        # The head of a record that never comes.
        slow.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert call(listener, tls(authority, scanner)) > 0
        assert slow.recv(1) == b""


def test_a_plain_association_on_the_tls_port_gets_nothing(listen_secure: Start, recorder: Recorder) -> None:
    listener = listen_secure()
    peer = Peer(name="node", aet="NODE", host="127.0.0.1", port=listener.secure_port)
    with pytest.raises(PeerUnreachable):
        echo(peer, calling_aet="CT1", timeouts=TIMEOUTS)
    assert recorder.news == []


def test_a_key_that_others_can_read_is_not_used(authority: Authority, node: Identity, tmp_path: Path) -> None:
    open_key = tmp_path / "open.key"
    shutil.copy(node.key, open_key)
    open_key.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 0600"):
        Credentials(tls(authority, Identity(node.certificate, open_key)), server=True)


def test_a_key_that_belongs_to_another_certificate_is_told(
    authority: Authority, node: Identity, scanner: Identity
) -> None:
    with pytest.raises(ConfigError, match="key values mismatch"):
        Credentials(tls(authority, Identity(node.certificate, scanner.key)), server=True)


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("users") / "users"
    path.write_text(f"# who may call\n{hashed('scanner', 'open sesame')}\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("user", "passcode", "secure", "admitted"),
    [
        ("scanner", "open sesame", True, True),
        ("scanner", "wrong", True, False),
        ("nobody", "open sesame", True, False),
        (None, None, True, False),
        ("scanner", "open sesame", False, False),
    ],
    ids=["right", "wrong passcode", "no such user", "none", "in the clear"],
)
def test_a_peer_that_has_to_name_its_user_gets_in_with_the_passcode_alone(
    listen_secure: Start,
    authority: Authority,
    scanner: Identity,
    users: Path,
    user: str | None,
    passcode: str | None,
    secure: bool,
    admitted: bool,
) -> None:
    peer = Peer(name="ct1", aet="CT1", host="127.0.0.1", port=104, user="scanner")
    listener = listen_secure(peers=(peer,), users=Users(users))
    ae = AE(ae_title="CT1")
    ae.add_requested_context("1.2.840.10008.1.1")
    ae.acse_timeout = 10
    identity = UserIdentityNegotiation()
    if user is not None and passcode is not None:
        identity.user_identity_type = 2
        identity.primary_field, identity.secondary_field = user.encode(), passcode.encode()
    association = ae.associate(
        "127.0.0.1",
        listener.secure_port if secure else listener.port,
        ae_title="NODE",
        ext_neg=[identity] if user is not None else [],
        tls_args=(client(authority, scanner), "localhost") if secure else None,
    )
    assert association.is_established is admitted
    if admitted:
        association.release()
    else:
        assert association.is_rejected


def test_neither_passcode_nor_its_hash_is_ever_logged(
    listen_secure: Start, authority: Authority, scanner: Identity, users: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    listener = listen_secure(users=Users(users))
    ae = AE(ae_title="CT1")
    ae.add_requested_context("1.2.840.10008.1.1")
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.primary_field, identity.secondary_field = b"scanner", b"not-for-the-log"
    context = client(authority, scanner)
    association = ae.associate(
        "127.0.0.1", listener.secure_port, ae_title="NODE", ext_neg=[identity], tls_args=(context, "localhost")
    )
    assert association.is_rejected
    told = "".join(capfd.readouterr())
    assert "wrong user or passcode" in told
    assert "not-for-the-log" not in told and users.read_text().split(":")[-1].strip() not in told


VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


def table(listener: Listener, authority: Authority, identity: Identity) -> dict[str, list[str]]:
    """Protocol version → suites that the listener takes when they are offered one by one, as testssl.sh does it."""
    found: dict[str, list[str]] = {}
    for name, version in VERSIONS.items():
        context = client(authority, identity)
        with pytest.warns(DeprecationWarning) if name in ("TLSv1", "TLSv1.1") else nullcontext():
            context.minimum_version = context.maximum_version = version
        if name == "TLSv1.3":
            found[name] = [handshake(listener, context)[1]]
            continue
        found[name] = []
        for suite in [each["name"] for each in context.get_ciphers() if not each["name"].startswith("TLS_")]:
            context.set_ciphers(f"{suite}:@SECLEVEL=0")
            try:
                agreed = handshake(listener, context)
            except (ssl.SSLError, ConnectionError):
                continue
            found[name].append(agreed[1])
    return found


@pytest.mark.parametrize("profile", list(TlsProfile))
def test_the_profile_is_what_the_port_speaks(
    listen_secure: Start, authority: Authority, scanner: Identity, profile: TlsProfile
) -> None:
    """Every suite that OpenSSL knows is offered in every version, to a node with an RSA and one with an EC key."""
    found: dict[str, set[str]] = {}
    for identity in (authority.issue("rsa", rsa=True), authority.issue("ec")):
        listener = listen_secure(identity=identity, profile=profile, maximum_associations=64)
        for version, suites in table(listener, authority, scanner).items():
            found.setdefault(version, set()).update(suites)
    expected = PROFILES[profile]
    assert found == {
        "TLSv1": set(),
        "TLSv1.1": set(),
        "TLSv1.2": set(expected.tls_1_2),
        "TLSv1.3": {expected.tls_1_3[0]},
    }


@pytest.mark.parametrize("profile", ["-bcp195-nd", "-bcp195-ex"])
def test_dcmtk_stores_over_tls(
    listen_secure: Start,
    authority: Authority,
    scanner: Identity,
    recorder: Recorder,
    outgoing: Callable[..., Outgoing],
    dcmtk: Callable[..., subprocess.CompletedProcess[str]],
    profile: str,
) -> None:
    """storescu, with the profiles of PS3.15 B.10 and B.11, whose suites overlap with those of B.12."""
    listener = listen_secure()
    file = outgoing(1, PixelData=bytes(512 * 1024))
    arguments = ("+tls", scanner.key, scanner.certificate, "+cf", authority.certificate, f"--profile{profile}")
    done = dcmtk(
        "storescu", *arguments, "-aet", "CT1", "-aec", "NODE", "127.0.0.1", listener.secure_port, file.path
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert file.sop_instance_uid in recorder.accepted


def test_dcmtk_without_our_authoritys_certificate_stores_nothing(
    listen_secure: Start,
    authority: Authority,
    recorder: Recorder,
    outgoing: Callable[..., Outgoing],
    dcmtk: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    listener = listen_secure()
    done = dcmtk(
        "storescu", "+tla", "+cf", authority.certificate, "-aet", "CT1", "-aec", "NODE",
        "127.0.0.1", listener.secure_port, outgoing(1).path,
    )  # fmt: skip
    assert done.returncode != 0
    assert recorder.news == []


def test_results_reach_dcmtk_over_tls(
    authority: Authority,
    node: Identity,
    dcmtk_storescp: Callable[..., tuple[Peer, Path]],
    outgoing: Callable[..., Outgoing],
) -> None:
    pacs = authority.issue("pacs")
    peer, folder = dcmtk_storescp(
        "+tls", str(pacs.key), str(pacs.certificate), "+cf", str(authority.certificate), secure=tls(authority, node)
    )
    file = outgoing(1, PixelData=bytes(512 * 1024))
    receipts = list(send(peer, [file], calling_aet="NODE", timeouts=TIMEOUTS))
    assert [receipt.stored for receipt in receipts] == [True]
    stored: Dataset = dcmread(next(folder.iterdir()))
    assert stored.SOPInstanceUID == file.sop_instance_uid
    assert stored.SOPClassUID == CTImageStorage
    assert len(stored.PixelData) == 512 * 1024
    with pytest.raises(PeerUnreachable, match="no TLS connection"):
        bare = Peer(name="dcmtk", aet="PACS", host="127.0.0.1", port=peer.port, tls=tls(authority, None))
        echo(bare, calling_aet="NODE", timeouts=TIMEOUTS)


def test_many_associations_over_tls_at_once_are_all_served(
    listen_secure: Start, authority: Authority, scanner: Identity, outgoing: Callable[..., Outgoing], recorder: Recorder
) -> None:
    listener = listen_secure()
    peer = Peer(name="node", aet="NODE", host="127.0.0.1", port=listener.secure_port, tls=tls(authority, scanner))
    files = [outgoing(number) for number in range(1, 33)]
    stored: list[bool] = []

    def one(part: list[Outgoing]) -> None:
        stored.extend(receipt.stored for receipt in send(peer, part, calling_aet="CT1", timeouts=TIMEOUTS))

    threads = [threading.Thread(target=one, args=(files[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert stored == [True] * 32 and len(recorder.accepted) == 32


def test_stopping_does_not_wait_for_a_handshake_that_never_comes(listen_secure: Start) -> None:
    listener = listen_secure(acse_timeout_seconds=600)
    with socket.create_connection(("127.0.0.1", listener.secure_port), timeout=20) as silent:
        until = time.monotonic() + 20
        while not any("process_request_thread" in thread.name for thread in threading.enumerate()):
            assert time.monotonic() < until
        listener.stop(0)
        assert silent.recv(1) == b""
