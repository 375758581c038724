"""The metrics of the node for Prometheus, read from the store whenever they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from dicomnode.domain.role import Role
from dicomnode.flow.metrics.families import Family
from dicomnode.flow.metrics.reading import Histogram, Samples, read
from dicomnode.web.access import MaybeCaller, nobody
from dicomnode.web.desk import OpenStore, SettingsNow
from dicomnode.web.problem import declined

router = APIRouter(tags=["metrics"])

_OF_PROXIES = frozenset({"forwarded", "via", "x-real-ip"})


@router.get(
    "/metrics", operation_id="metrics", summary="What the node counts and measures, as text for Prometheus",
    response_class=Response, responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text format."}},
)  # fmt: skip
def metrics(request: Request, opened: OpenStore, settings: SettingsNow, caller: MaybeCaller) -> Response:
    """For whoever may view; with `[web] metrics_open` also for anybody on this machine."""
    if caller is None and not (settings.web.metrics_open and _from_this_machine(request)):
        raise nobody()
    if caller is not None and not caller.role.covers(Role.VIEWER):
        raise declined(403, "the caller", f"role {caller.role}", f"role {Role.VIEWER}")
    return Response(exposition(read(opened.db, settings)), media_type=CONTENT_TYPE_LATEST)


def exposition(found: Sequence[tuple[Family, Samples]]) -> bytes:
    """The text format of Prometheus.

    A registry for each answer: nothing is kept in this process, so that several tell the same.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Found(found))
    return generate_latest(registry)


class _Found(Collector):
    """Hands to the library what was read."""

    def __init__(self, found: Sequence[tuple[Family, Samples]]) -> None:
        self._found = found

    def describe(self) -> Iterable[Metric]:
        """Nothing is registered beside it that could bear the same name."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """One metric for each family."""
        return (_metric(family, samples) for family, samples in self._found)


def _metric(family: Family, samples: Samples) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.text, labels=family.labels)
        for labels, value in samples:
            if isinstance(value, Histogram):
                histogram.add_metric(labels, list(value.buckets), value.sum_seconds)
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.text, labels=family.labels)
    for labels, value in samples:
        if not isinstance(value, Histogram):
            metric.add_metric(labels, value)
    return metric


def _from_this_machine(request: Request) -> bool:
    """Whether the caller itself is here: one whom a proxy here lets through is not.

    A proxy tells of its caller (RFC 7239, RFC 9110 7.6.3), passes on a Host from elsewhere, or speaks HTTP/1.0, as
    nginx does unless told otherwise. One that does none of it cannot be told from a program of this machine.
    """
    told = any(name in _OF_PROXIES or name.startswith("x-forwarded") for name in request.headers)
    if request.client is None or told or request.scope.get("http_version") == "1.0":
        return False
    host = request.url.hostname or ""
    return _is_loopback(request.client.host) and (host == "localhost" or _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
