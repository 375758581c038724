"""Says why a study has no result of a rule, and which command would help."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from dicomnode.domain.header import Header
from dicomnode.domain.network import Peer
from dicomnode.report.provenance import MANUFACTURER
from dicomnode.store.standing import Standing

#: As whom the archive is asked to send. Not as this node: what is sent at its own request is an earlier study to it.
_ORIGINATOR = "RECONCILE"

#: Modalities of results: masks, reports, contours, maps and pictures, pages (`dicomnode.report`).
_RESULTS = frozenset({"SEG", "SR", "RTSTRUCT", "OT", "SC", "DOC", "KO"})


def lack(
    stands: Standing, uid: str, peer: Peer, aet: str, series: Mapping[str, Header], *, gets: bool
) -> tuple[str, str] | None:
    """Why there is no result, and what to do; None where there is one, or a report that says why not.

    Parameters
    ----------
    stands
        What the books say.
    series
        What the archive has of the study.
    gets
        Whether results of the rule go to this archive, so that they have to be there.
    """
    if not stands.study:
        # Made by another node, or before this store was begun.
        made = any(is_result(one) for one in series.values())
        return None if made else ("never came here", send_command(uid, peer, aet))
    if stands.study == "receiving":
        return "is receiving", f"dicomnode why {uid}"
    if stands.held:
        return "held until an operator decides", f"dicomnode why {uid}"
    if not stands.job:
        return "came here, and the rule did not take it or had no job yet", f"dicomnode why {uid}"
    if stands.job in {"waiting", "running"}:
        return f"its analysis is {stands.job}", f"dicomnode why {uid}"
    if stands.retracted:
        return None
    return _undelivered(stands, uid, peer, series, gets=gets)


def is_result(series: Header) -> bool:
    """Whether an archive says that a series was made by this software; not images that it has drawn for tests."""
    return series.first("Manufacturer") == MANUFACTURER and series.first("Modality") in _RESULTS


def _undelivered(
    stands: Standing, uid: str, peer: Peer, series: Mapping[str, Header], *, gets: bool
) -> tuple[str, str] | None:
    if not stands.owed:
        whom = f"{peer.name} nothing" if gets else "nobody anything"
        return f"its analysis is {stands.job} and owes {whom}", f"dicomnode rerun {uid}"
    if stands.owed.get("failed"):
        return f"{stands.owed['failed']} deliveries failed", f"dicomnode retry {uid}"
    if stands.owed.get("waiting") or stands.owed.get("running"):
        return "its results wait for their delivery", f"dicomnode why {uid}"
    if not stands.owed.get("done"):
        return "its deliveries were cancelled", f"dicomnode rerun {uid}"
    gone = stands.series - set(series)
    # An archive that gets other UIDs cannot be asked for ours.
    if gets and gone and peer.deidentify is None:
        return f"{len(gone)} series of results were delivered and are not there any more", f"dicomnode rerun {uid}"
    return None


def send_command(uid: str, peer: Peer, aet: str) -> str:
    """What has the archive send a study here: a C-MOVE by DCMTK, which it has to allow that AE title."""
    words = (
        "movescu", "-S", "-aet", _ORIGINATOR, "-aec", peer.aet, "-aem", aet, peer.host, str(peer.port),
        "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}",
    )  # fmt: skip
    return shlex.join(words)
