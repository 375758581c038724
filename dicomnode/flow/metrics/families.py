"""Every family of metrics with its labels and what it says; the reference of them is made from this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric by the conventions of Prometheus: base units, `_total` for what is counted.

    Attributes
    ----------
    labels
        Their values come from the configuration, from the installed models or from fixed lists: never from patients.
    group
        Where it stands in the dashboard.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    group: str
    text: str


def _of(group: str, *rows: tuple[str, Kind, tuple[str, ...], str]) -> tuple[Family, ...]:
    return tuple(
        Family(name=f"dicomnode_{name}", kind=kind, labels=labels, group=group, text=text)
        for name, kind, labels, text in rows
    )


#: Upper limits of the buckets of every histogram, in seconds: from one step of an analysis to a study that waited for a
#: night's repair.
BUCKETS_SECONDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 43200.0)

FAMILIES = (
    *_of(
        "ingest",
        ("instances_received_total", "counter", ("peer",), "Objects taken in, those that came again included."),
        ("received_bytes_total", "counter", ("peer",), "Bytes of these objects as they came."),
        ("rejected_total", "counter", ("reason",), "Associations and objects that were not taken."),
        ("associations_open", "gauge", (), "Associations in which objects may come."),
        ("receiving_studies", "gauge", (), "Studies that have not settled."),
        ("receiving_oldest_seconds", "gauge", (), "For how long the oldest of them has been coming; 0 for none."),
        ("held_studies", "gauge", (), "Studies that wait for an operator's decision."),
        ("study_settling_seconds", "histogram", (), "From the first object of a revision until the study settled."),
    ),
    *_of(
        "queue",
        ("jobs", "gauge", ("state",), "Jobs that wait, run or have failed."),
        ("jobs_oldest_seconds", "gauge", (), "For how long the oldest waiting job has waited, since it was "
         "made or an operator had it tried again; 0 for none."),
        ("job_waiting_seconds", "histogram", (), "From the settling of a study until its job was started."),
        ("retries_total", "counter", ("kind",), "Jobs and deliveries that were put back to be tried again."),
        ("messages_oldest_seconds", "gauge", ("notify",), "For how long the oldest message of a [[notify]] was not "
         "taken; 0 for none."),
        ("heartbeat_age_seconds", "gauge", ("process",), "Since a process of the node last gave a sign of life."),
    ),
    *_of(
        "models",
        ("jobs_total", "counter", ("model", "outcome"), "Jobs that ended: done, failed or cancelled."),
        ("not_analysed_total", "counter", ("reason",), "Studies that got a report with a reason instead of a result."),
        ("deadlines_missed_total", "counter", (), "Results that were not there at the deadline of their rule."),
        ("job_stage_seconds", "histogram", ("stage",), "Time in each stage of an analysis."),
        ("model_run_seconds", "histogram", ("model",), "From the start of a job of this model until it was done."),
        ("model_inference_seconds", "histogram", ("model",), "Of that, the time in the network."),
    ),
    *_of(
        "delivery",
        ("deliveries", "gauge", ("destination", "state"), "Deliveries that wait, run or have failed."),
        ("deliveries_oldest_seconds", "gauge", ("destination",), "For how long the oldest that is not delivered has "
         "been owed, however often it was tried; 0 for none."),
        ("deliveries_total", "counter", ("destination", "outcome"), "Deliveries that ended: done, failed, cancelled, "
         "or lost by an archive that had them."),
        ("delivery_seconds", "histogram", ("destination",), "From the making of a result until its acknowledgement."),
        ("commitments_outstanding", "gauge", ("peer",), "Confirmations of storage that this node waits for."),
        ("pledges_outstanding", "gauge", ("peer",), "Confirmations of storage that this node owes."),
        ("peer_backing_off", "gauge", ("peer",), "1 from the first call that a peer does not answer until it "
         "answers or is owed nothing."),
    ),
    *_of(
        "machine",
        ("disk_used_bytes", "gauge", (), "Used of the disk that holds the store."),
        ("disk_free_bytes", "gauge", (), "Free on that disk."),
        ("disk_reserve_bytes", "gauge", (), "Of the free bytes, those that no object is taken into."),
        ("store_bytes", "gauge", ("kind",), "Files of objects and of results, the database and its log."),
        ("certificate_expiry_seconds", "gauge", ("key",), "Until the certificate in this key of the configuration, or "
         "the first of several, ends; negative afterwards."),
        ("audit_backlog_messages", "gauge", (), "Messages of the audit trail that the collector does not have yet."),
        ("audit_lost_messages", "gauge", (), "Messages of the audit trail that could not be written."),
        ("gpu_memory_used_bytes", "gauge", ("gpu",), "Memory in use on a GPU, by whomever."),
        ("gpu_memory_bytes", "gauge", ("gpu",), "Memory of a GPU."),
        ("gpu_utilisation_ratio", "gauge", ("gpu",), "Share of the time in which a GPU computed, 0 to 1."),
        ("build_info", "gauge", ("version", "python", "schema"), "1, with what is running in the labels."),
    ),
)  # fmt: skip

BY_NAME = {family.name: family for family in FAMILIES}


def reference() -> str:
    """The table of all families in Markdown, as it stands in docs/metrics.md."""
    rows = ["| metric | kind | labels | says |", "|---|---|---|---|"]
    for one in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in one.labels)
        rows.append(f"| `{one.name}` | {one.kind} | {labels} | {one.text} |")
    return "\n".join(rows)
