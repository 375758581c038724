"""The OHIF application on loopback, and a way from it to a DICOMweb server."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

_DICOMWEB = "/dicom-web"

#: Settings of the application, https://docs.ohif.org/configuration/configurationFiles
_CONFIGURATION = {
    "routerBasename": "/",
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "maxNumberOfWebWorkers": 2,
    "showCPUFallbackMessage": False,
    "strictZSpacingForVolumeViewport": True,
    "investigationalUseDialog": {"option": "never"},
    # The guided tour would cover the page.
    "customizationService": [{"ohif.tours": {"$set": []}}],
    "defaultDataSourceName": "dicomweb",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "dicomweb",
            "configuration": {
                "friendlyName": "archive",
                "name": "archive",
                "wadoUriRoot": _DICOMWEB,
                "qidoRoot": _DICOMWEB,
                "wadoRoot": _DICOMWEB,
                "qidoSupportsIncludeField": False,
                "supportsReject": False,
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "enableStudyLazyLoad": True,
                "supportsFuzzyMatching": False,
                "supportsWildcard": True,
                "singlepart": "bulkdata,video,pdf",
                "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
                "omitQuotationForMultipartRequest": True,
            },
        }
    ],
}

#: Requests to this machine must not go through a proxy that the environment may name.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Application:
    """Serves the prebuilt application.

    Parameters
    ----------
    dist
        Folder `dist` of the package.
    dicomweb
        Address of the DICOMweb server.
    """

    def __init__(self, dist: Path, dicomweb: str) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(dist, dicomweb))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> Application:
        """Begin to serve."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(dist: Path, dicomweb: str) -> type[http.server.SimpleHTTPRequestHandler]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(dist))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def handle(self) -> None:
            # The browser may go, or no longer want what it asked for.
            with suppress(ConnectionError):
                super().handle()

        def end_headers(self) -> None:
            # Shared memory between workers is given to isolated pages only.
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            super().end_headers()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith(f"{_DICOMWEB}/"):
                self._forward()
            elif path == "/app-config.js":
                self._answer(
                    HTTPStatus.OK, "text/javascript", f"window.config = {json.dumps(_CONFIGURATION)};".encode()
                )
            else:
                # The application itself sorts out addresses that are no files.
                self.path = path if (dist / path.lstrip("/")).is_file() else "/index.html"
                super().do_GET()

        def _forward(self) -> None:
            request = urllib.request.Request(dicomweb + self.path.removeprefix(_DICOMWEB))
            if "Accept" in self.headers:
                request.add_header("Accept", self.headers["Accept"])
            try:
                with _OPENER.open(request, timeout=60) as reply:
                    self._answer(reply.status, reply.headers.get("Content-Type"), reply.read())
            except urllib.error.HTTPError as error:
                with error:
                    self._answer(error.code, "text/plain", error.read())

        def _answer(self, status: int, kind: str | None, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind or "application/octet-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
