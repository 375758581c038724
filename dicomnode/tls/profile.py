"""The secure transport profiles of DICOM as versions and cipher suites of TLS."""

from __future__ import annotations

from dataclasses import dataclass

from dicomnode.domain.network import TlsProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Suites:
    """What a profile allows.

    Attributes
    ----------
    title
        As PS3.15 Annex B names it.
    tls_1_2
        Cipher suites for TLS 1.2, best first, as OpenSSL names them.
    tls_1_3
        Cipher suites for TLS 1.3, best first: those that OpenSSL has on, since Python before 3.15 cannot choose them.
    """

    title: str
    tls_1_2: tuple[str, ...]
    tls_1_3: tuple[str, ...] = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256")

    @property
    def openssl(self) -> str:
        """The list for TLS 1.2 as OpenSSL reads it.

        Security level 2 refuses keys and signatures of less than 112 bits: RSA below 2048, elliptic curves below 224,
        SHA-1 (RFC 9325 4.4 and 4.5; OpenSSL, SSL_CTX_set_security_level(3)).
        """
        return ":".join([*self.tls_1_2, "@SECLEVEL=2"])


#: What RFC 9325 4.2 recommends for TLS 1.2.
_RECOMMENDED = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)

#: The other suites of PS3.15 B.13 that OpenSSL has. It has none with Camellia in GCM, and at security level 2 none with
#: the short tag of CCM_8.
_FURTHER = (
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES256-CCM",
    "ECDHE-ECDSA-AES128-CCM",
)

PROFILES = {
    TlsProfile.BCP195: Suites(
        title="BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12)", tls_1_2=_RECOMMENDED
    ),
    TlsProfile.MODIFIED: Suites(
        title="Modified BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.13)",
        tls_1_2=(*_RECOMMENDED, *_FURTHER),
    ),
}
