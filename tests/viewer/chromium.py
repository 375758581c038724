"""Headless Chromium, driven over its DevTools pipe."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.waiting import PATIENCE_SECONDS

#: Root may not use the sandbox; WebGL is drawn by the processor; nothing is asked of the network.
_SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)

#: Descriptors on which Chromium listens and answers.
_HEARS, _SAYS = 3, 4


class Chromium:
    """One browser with one page.

    Parameters
    ----------
    folder
        Where it keeps its profile and log.
    size
        Width and height of the page in pixels.
    """

    def __init__(self, folder: Path, size: tuple[int, int] = (1400, 900)) -> None:
        self._folder, self._size = folder, size
        #: Exceptions that the page did not catch and errors that it logged, in order.
        self.errors: list[str] = []
        self._number = 0
        self._unread = b""

    def start(self) -> Chromium:
        """Run it and open an empty page; the test is skipped where Chromium is not installed."""
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if program is None:
            pytest.skip("Chromium is not installed; Debian package chromium")
        self._folder.mkdir(parents=True)
        heard, self._to = os.pipe()
        self._from, said = os.pipe()
        # Chromium wants exactly these numbers, which in this process may be taken: a shell moves them into place.
        shell = f'exec "$0" "$@" {_HEARS}<&{heard} {_SAYS}>&{said}'
        switches = (*_SWITCHES, f"--user-data-dir={self._folder / 'profile'}", "about:blank")
        with (self._folder / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["/bin/bash", "-c", shell, program, *switches],
                stdout=log, stderr=log, pass_fds=(heard, said), start_new_session=True,
            )  # fmt: skip
        os.close(heard)
        os.close(said)
        self._session: str | None = None
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        width, height = self._size
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self._ask("Page.enable")
        self._ask("Runtime.enable")
        return self

    def stop(self) -> None:
        """Kill it with all its children."""
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=30)
        os.close(self._to)
        os.close(self._from)

    def open(self, url: str) -> None:
        """Go to an address; returns before the page is complete."""
        self._ask("Page.navigate", url=url)

    def evaluate(self, script: str, *arguments: object) -> Any:
        """What a JavaScript function answers, its promise awaited.

        Parameters
        ----------
        script
            A function, which gets `arguments`.

        Raises
        ------
        AssertionError
            Where it throws; `eventually` is to be asked for what may not be there yet.
        """
        call = f"({script})({', '.join(map(json.dumps, arguments))})"
        answer = self._ask("Runtime.evaluate", expression=call, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, f"{script}: {_description(answer['exceptionDetails'])}"
        return answer["result"].get("value")

    def double_click(self, x: float, y: float) -> None:
        """Press the mouse twice at a point of the page."""
        self._ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for clicks in (1, 2):
            for kind in ("mousePressed", "mouseReleased"):
                self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=clicks)

    def click(self, x: float, y: float) -> None:
        """Press the mouse at a point of the page."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def screenshot(self) -> bytes:
        """The page as PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])

    def _ask(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self._next(deadline, method)
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _next(self, deadline: float, method: str) -> dict[str, Any]:
        while b"\0" not in self._unread:
            readable, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            assert readable, f"Chromium did not answer {method} within {PATIENCE_SECONDS:g} s"
            piece = os.read(self._from, 1 << 20)
            assert piece, f"Chromium ended: {(self._folder / 'chromium.log').read_text(errors='replace')[-2000:]}"
            self._unread += piece
        first, self._unread = self._unread.split(b"\0", 1)
        message: dict[str, Any] = json.loads(first)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        details = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(_description(details["exceptionDetails"]))
        elif event.get("method") == "Runtime.consoleAPICalled" and details["type"] == "error":
            self.errors.append(" ".join(str(one.get("value", one.get("description", ""))) for one in details["args"]))


def _description(details: dict[str, Any]) -> str:
    return str(details.get("exception", {}).get("description", details.get("text", "")))
