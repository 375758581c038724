"""Every page of the reference by the name of its file."""

from __future__ import annotations

from dicomnode.flow.conformance.form import markdown
from dicomnode.flow.conformance.statement import statement
from dicomnode.flow.metrics.families import BUCKETS_SECONDS, reference
from release.reference.api import api
from release.reference.configuration import configuration
from release.reference.errors import errors
from release.reference.verbs import verbs

MADE = "<!-- made by `make docs` from the code; a test compares them -->\n"


def pages() -> dict[str, str]:
    """File name → text."""
    made = {
        "api.md": api(),
        "configuration.md": configuration(),
        "conformance.md": markdown(statement()),
        "errors.md": errors(),
        "metrics.md": _metrics(),
        "verbs.md": verbs(),
    }
    return {name: f"{MADE}\n{text.rstrip()}\n" for name, text in made.items()}


def _metrics() -> str:
    buckets = ", ".join(f"{one:g}" for one in BUCKETS_SECONDS)
    return (
        "# Metrics\n\n`GET /metrics` of the dashboard's port answers in the text format of Prometheus."
        " [Watching a node](../metrics.md) says how to ask and how it is counted.\n\n"
        f"{reference()}\n\nHistograms have buckets up to {buckets} seconds.\n"
    )
