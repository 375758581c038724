"""The port: who dribbles is cut off, requests under way are finished, and TLS shows what the configuration names."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from dicomnode.config import load, parse
from dicomnode.config.tables import Web
from dicomnode.domain.errors import ConfigError
from dicomnode.web import patience
from dicomnode.web.server import Server
from tests.certificates import Authority


@contextmanager
def answering(app: FastAPI, **table: Any) -> Iterator[Server]:
    server = Server(app, Web(**table))
    server.start()
    yield server
    server.stop(5)


@pytest.fixture
def app() -> FastAPI:
    made = FastAPI()

    @made.get("/scheme")
    def scheme(request: Request) -> str:
        assert request.client is not None
        return f"{request.url.scheme} {request.client.host}"

    @made.post("/read")
    async def read(request: Request) -> int:
        return len(await request.body())

    return made


def test_who_dribbles_a_request_is_cut_off(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(patience, "FORM_SECONDS", 0.2)
    begun = (b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na")
    with answering(app) as server:
        for head in begun:
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
                connection.sendall(head)
                received = b""
                while more := connection.recv(4096):
                    received += more
                assert b" 200 " not in received
        assert httpx.get(f"http://127.0.0.1:{server.port}/scheme").status_code == 200


def test_a_request_under_way_is_finished_before_the_process_ends(app: FastAPI) -> None:
    entered, leave = threading.Event(), threading.Event()

    @app.get("/slow")
    def slow() -> str:
        entered.set()
        assert leave.wait(20)
        return "whole"

    answers: list[httpx.Response] = []
    server = Server(app, Web())
    server.start()
    url = f"http://127.0.0.1:{server.port}/slow"
    asking = threading.Thread(target=lambda: answers.append(httpx.get(url, timeout=20)))
    asking.start()
    assert entered.wait(20)
    stopping = threading.Thread(target=server.stop, args=(20,))
    stopping.start()
    leave.set()
    stopping.join(20)
    asking.join(20)
    assert [answer.json() for answer in answers] == ["whole"] and not server.alive


def test_what_a_proxy_says_of_its_caller_is_believed_of_the_proxy_alone(app: FastAPI) -> None:
    forwarded = {"X-Forwarded-For": "192.0.2.9", "X-Forwarded-Proto": "https"}
    for table, said in (
        ({}, "http 127.0.0.1"),
        ({"behind_proxy": True}, "https 192.0.2.9"),
        ({"behind_proxy": True, "proxy_addresses": ("10.0.0.0/8",)}, "http 127.0.0.1"),
    ):
        with answering(app, **table) as server:
            assert httpx.get(f"http://127.0.0.1:{server.port}/scheme", headers=forwarded).json() == said


def test_a_port_that_is_taken_is_a_fault_of_the_configuration(app: FastAPI) -> None:
    with answering(app) as server, pytest.raises(ConfigError) as caught:
        Server(app, Web(port=server.port))
    assert [fault.key for fault in caught.value.faults] == ["web.port"]


def test_browsers_are_shown_the_certificate_that_the_configuration_names(app: FastAPI, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    shown = authority.issue("node")
    trusting = ssl.create_default_context(cafile=str(authority.certificate))
    with answering(app, certificate=str(shown.certificate), key=str(shown.key)) as server:
        url = f"https://localhost:{server.port}/scheme"
        assert httpx.get(url, verify=trusting).json() == "https 127.0.0.1"
        with pytest.raises(httpx.TransportError):
            httpx.get(url.replace("https", "http"))
    with pytest.raises(ConfigError) as caught:
        Server(app, Web(certificate=str(tmp_path / "none.pem"), key=str(shown.key)))
    assert [fault.key for fault in caught.value.faults] == ["web.certificate"]


def test_paths_of_the_table_are_those_beside_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "dicomnode.toml"
    path.write_text('[web]\ncertificate = "web.pem"\nkey = "web.key"\n')
    assert load(path).web.key == str(tmp_path / "web.key")
    assert parse({}).web.certificate == ""


def test_one_address_has_so_many_connections_and_others_are_answered(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "MOST_OF_ONE", 3)
    begun = b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na"
    for table, answered in (({}, False), ({"behind_proxy": True}, True)):
        with answering(app, **table) as server, ExitStack() as stack:
            for _ in range(3):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
                connection.sendall(begun)
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as beyond:
                received = b""
                with suppress(ConnectionResetError, BrokenPipeError):
                    beyond.sendall(b"GET /scheme HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    while more := beyond.recv(4096):
                        received += more
            assert (b" 200 " in received) is answered


def test_the_state_of_the_node_is_told_also_when_everybody_else_has_to_come_later(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.get("/healthz")
    def healthz() -> str:
        return "alive"

    monkeypatch.setattr("dicomnode.web.server._MOST_CONNECTIONS", 1)
    with answering(app) as server, socket.create_connection(("127.0.0.1", server.port), timeout=20):
        url = f"http://127.0.0.1:{server.port}"
        assert httpx.get(f"{url}/healthz").json() == "alive"
        crowded = httpx.get(f"{url}/scheme")
        assert crowded.status_code == 503 and int(crowded.headers["Retry-After"]) > 0


def test_who_does_not_read_the_answer_is_cut_off(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    @app.get("/long")
    def long() -> Response:
        return Response(b"x" * (64 << 20))

    monkeypatch.setattr(patience, "READ_SECONDS", 0.2)
    with answering(app) as server, socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        deadline = time.monotonic() + 20
        while server.connections or time.monotonic() < deadline - 19.5:
            assert time.monotonic() < deadline, "it is still held"
            threading.Event().wait(0.05)


def test_a_form_is_waited_for_less_long_than_a_file() -> None:
    def seconds(length: bytes) -> float:
        return patience._body_seconds({"type": "http", "headers": [(b"content-length", length)]})

    assert seconds(b"1000") == seconds(b"") == patience.FORM_SECONDS < seconds(b"9000000") == patience.BODY_SECONDS
