"""Whether a certificate bears the names that the configuration expects."""

from __future__ import annotations

import pytest

from dicomnode.domain.certificate import Certificate, parse_names

#: As `ssl.SSLSocket.getpeercert` decodes a certificate.
SCANNER = Certificate.of(
    {
        "subject": (
            (("countryName", "NL"),),
            (("organizationName", "Hospital, Maastricht"),),
            (("commonName", "ct1"),),
        ),
        "subjectAltName": (("DNS", "ct1.hospital.example"), ("IP Address", "192.0.2.7")),
    }
)


@pytest.mark.parametrize(
    ("expected", "borne"),
    [
        ("CN=ct1", True),
        ("cn=ct1, C=NL", True),
        (r"O=Hospital\, Maastricht, CN=ct1", True),
        ("DNS=CT1.Hospital.example", True),
        ("IP=192.0.2.7", True),
        ("CN=ct", False),
        ("CN=CT1", False),
        ("CN=ct1, O=Hospital", False),
        ("CN=NL", False),
        ("DNS=ct1", False),
    ],
)
def test_every_name_that_is_expected_has_to_be_there(expected: str, borne: bool) -> None:
    assert SCANNER.bears(expected) is borne


def test_a_subject_is_shown_as_the_configuration_writes_it() -> None:
    assert SCANNER.subject == r"C=NL, O=Hospital\, Maastricht, CN=ct1"
    assert SCANNER.bears(SCANNER.subject)


@pytest.mark.parametrize("text", ["ct1", "CN=", "CX=ct1", "CN=ct1,", ""])
def test_what_is_no_name_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="write names such as"):
        parse_names(text)
