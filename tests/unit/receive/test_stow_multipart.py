"""Bodies of many parts: what a mail parser finds in them, and what is no such body."""

from __future__ import annotations

from collections.abc import Iterable
from email import message_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomnode.receive.stow_multipart import End, Head, Malformed, Multipart, media_type

BOUNDARY = "b"


def parts_of(body: bytes, sizes: Iterable[int] = (), boundary: str = BOUNDARY) -> list[tuple[str, bytes]]:
    """Media type and content of each part, with the body cut into blocks of these sizes and the rest."""
    parser, found = Multipart(boundary), list[tuple[str, bytes]]()
    kind, content, at = "", b"", 0
    for size in [*sizes, len(body)]:
        for event in parser.feed(body[at : at + size]):
            if isinstance(event, Head):
                kind, content = event.media_type, b""
            elif isinstance(event, End):
                found.append((kind, content))
            else:
                content += event
        at += size
    parser.finish()
    return found


def body_of(*contents: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    """The parts with their boundaries, as RFC 2046 5.1.1 has it."""
    parts = [b"--b\r\nContent-Type: application/dicom\r\n\r\n" + one + b"\r\n" for one in contents]
    return before + b"".join(parts) + b"--b--" + after


@settings(max_examples=150, deadline=None)
@given(
    contents=st.lists(
        st.binary(max_size=20) | st.sampled_from([b"\r\n", b"\r\n--", b"--", b"\r\n-", b"\r"]), max_size=4
    ),
    sizes=st.lists(st.integers(min_value=0, max_value=9), max_size=30),
    before=st.sampled_from([b"", b"\r\n", b"to be ignored\r\n"]),
    after=st.sampled_from([b"", b"\r\n", b"\r\nto be ignored"]),
)
def test_parts_are_found_however_the_body_is_cut(
    contents: list[bytes], sizes: list[int], before: bytes, after: bytes
) -> None:
    contents = [one for one in contents if b"\r\n--b" not in b"\r\n" + one + b"\r\n"]
    if contents:
        assert parts_of(body_of(*contents, before=before, after=after), sizes) == [
            ("application/dicom", one) for one in contents
        ]


def test_a_mail_parser_finds_the_same() -> None:
    body = body_of(b"first", b"second line\r\nthird", before=b"preamble\r\n", after=b"\r\nepilogue")
    mail = message_from_bytes(b'Content-Type: multipart/related; boundary="b"\r\n\r\n' + body)
    expected = [str(part.get_payload()).encode() for part in mail.get_payload()]  # type: ignore[union-attr]
    assert [content.replace(b"\r\n", b"\n") for _, content in parts_of(body)] == [
        one.replace(b"\r\n", b"\n") for one in expected
    ]


def test_a_part_may_have_no_header_field_and_no_content() -> None:
    assert parts_of(b"--b\r\n\r\n\r\n--b\r\n\r\nx\r\n--b--") == [("", b""), ("", b"x")]


def test_blanks_may_follow_a_boundary() -> None:
    assert parts_of(b"--b \t\r\n\r\nx\r\n--b--") == [("", b"x")]


def test_a_body_that_is_cut_off_is_incomplete() -> None:
    body = body_of(b"first", b"second")
    for length in range(len(body)):
        with pytest.raises(Malformed):
            parts_of(body[:length])


@pytest.mark.parametrize(
    "body",
    [
        b"x" * 70000,
        b"--other\r\n\r\nx\r\n--other--" + b" " * 70000,
        b"--bb\r\n\r\nx\r\n--bb--",
        b"--b\r\n" + b"A: b\r\n" * 2000 + b"\r\n",
        b"--b" + b" " * 9000,
        body_of(b"x") + b"y" * 70000,
    ],
    ids=["no boundary", "another boundary", "a longer boundary", "endless header", "endless line", "endless epilogue"],
)
def test_what_cannot_be_understood_is_told_before_it_fills_the_memory(body: bytes) -> None:
    parser = Multipart(BOUNDARY)
    with pytest.raises(Malformed):
        for at in range(0, len(body), 1000):
            list(parser.feed(body[at : at + 1000]))
        parser.finish()


@pytest.mark.parametrize("boundary", ["", "x" * 201, "ends with ", "line\r\nbreak", "ü"])
def test_a_boundary_is_what_the_standard_allows(boundary: str) -> None:
    with pytest.raises(Malformed):
        Multipart(boundary)


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (
            'multipart/related; type="application/dicom"; boundary="a b"',
            ("multipart/related", "application/dicom", "a b"),
        ),
        ("Multipart/Related; TYPE=application/dicom; Boundary=aB", ("multipart/related", "application/dicom", "aB")),
        ("application/dicom", ("application/dicom", "", "")),
        ("", ("", "", "")),
        (";;;", ("", "", "")),
    ],
)
def test_a_content_type_is_read_as_mail_does(field: str, found: tuple[str, str, str]) -> None:
    assert media_type(field) == found
