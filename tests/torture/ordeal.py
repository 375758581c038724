"""One node, its senders and its archive, and everything that is done to them at moments drawn from a seed."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random
from threading import Event

from tests.acceptance.phantom import make_ct
from tests.acceptance.running import Node, peer
from tests.acceptance.waiting import eventually
from tests.torture.archives import make_archive
from tests.torture.audit import Findings, audit
from tests.torture.disk import Disk
from tests.torture.proxy import Proxy
from tests.torture.senders import deliver_all, ways
from tests.toy import write_bundle

#: How often each is done, relative to the others.
WEIGHTS = {
    "kill receive": 20, "kill work": 15, "kill deliver": 15, "kill all": 15,
    "cut": 20, "archive away": 10, "disk full": 10, "disk fails": 5,
}  # fmt: skip

#: Images of each study; announced, so that no part of a study that is being sent again is taken for the whole.
_SLICES = 12
_SENDERS = 3
_PAUSE_SECONDS = 0.2
#: What senders send until a connection is cut: less than one image to some.
_MOST_BYTES_TO_A_CUT = 60_000
#: At most this much has happened, or this long has passed, between two torments.
_MOST_EVENTS, _MOST_SECONDS = 25, 1.5
#: What is left to do at the end takes longer than one wait.
_END_SECONDS = 180.0


class Ordeal:
    """What `run` needs; everything random comes from `seed`, though the moments are the machine's too.

    Parameters
    ----------
    archive
        Which archive takes the results, as in `make_archive`.
    """

    def __init__(self, folder: Path, seed: int, archive: str) -> None:
        self._folder, self._chance = folder, Random(seed)
        self._disk = Disk(folder / "disk")
        write_bundle(folder / "models")
        self.archive = make_archive(archive, folder)
        self.node = Node(
            folder / "node", models=folder / "models", store=self._disk.folder,
            peers=[peer("PACS", self.archive.aet, self.archive.port)],
            # Torments count as attempts of the job, which is not at fault.
            work={"retry_seconds": 0.2, "threads": 1, "max_attempts": 1_000_000, "lease_seconds": 5},
        )  # fmt: skip
        self._proxy = Proxy(self.node.port)
        self._over, self._abandon = Event(), Event()
        self.done: Counter[str] = Counter()
        self._acknowledged: dict[str, set[Path]] = {}

    def run(self, torments: int) -> Findings:
        """Torment the node so often while studies come, restart it, and audit."""
        names = [name for name in WEIGHTS if self._disk.own or not name.startswith("disk")]
        try:
            self.archive.start()
            self.node.start()
            with ThreadPoolExecutor(_SENDERS) as pool:
                senders = [pool.submit(self._keep_sending, self._chance.getrandbits(32), n) for n in range(_SENDERS)]
                try:
                    for _ in range(torments):
                        self._wait_a_moment()
                        name = self._chance.choices(names, [WEIGHTS[one] for one in names])[0]
                        self._torments[name]()
                        self.done[name] += 1
                    self._over.set()
                    for sender in senders:
                        sender.result(timeout=_END_SECONDS)
                finally:
                    self._over.set()
                    self._abandon.set()
            self._kill_all()
            self.node.wait_idle(_END_SECONDS)
            return audit(self.node, self.archive, self._acknowledged)
        finally:
            self._proxy.close()
            self.node.kill()
            self.archive.stop()
            self._disk.unmount()

    def _keep_sending(self, seed: int, sender: int) -> None:
        """Study after study until it is over; each until the last object was acknowledged."""
        chance = Random(seed)
        number = 0
        while not self._over.is_set() or number == 0:
            number += 1
            ct = make_ct(self._folder / f"ct{sender}-{number}", seed=seed % 10**6 + number, announced=_SLICES)
            acknowledged = self._acknowledged.setdefault(ct.study, set())
            port = self._proxy.port if chance.random() < 0.75 else self.node.port
            deliver_all(ct.files, port, chance.choice(ways()), acknowledged, self._abandon)
            # Not ahead of the results, so that every torment finds every stage of some study.
            while not (self.archive.has_report(ct.study) or self._over.wait(_PAUSE_SECONDS)):
                pass

    def _wait_a_moment(self) -> None:
        until = self._happened() + self._chance.randint(1, _MOST_EVENTS)
        deadline = time.monotonic() + self._chance.uniform(0, _MOST_SECONDS)
        eventually(lambda: time.monotonic() > deadline or self._happened() >= until)

    def _happened(self) -> int:
        rows = self.node.rows("SELECT (SELECT COUNT(*) FROM event) + (SELECT COUNT(*) FROM instance)")
        return int(rows[0][0]) if rows else 0

    # ---- torments

    @property
    def _torments(self) -> dict[str, Callable[[], None]]:
        return {
            "kill receive": lambda: self._kill("receive"),
            "kill work": lambda: self._kill("work"),
            "kill deliver": lambda: self._kill("deliver"),
            "kill all": self._kill_all,
            "cut": self._cut,
            "archive away": self._archive_away,
            "disk full": self._disk_full,
            "disk fails": self._disk_fails,
        }

    def _kill(self, role: str) -> None:
        for pid, line in self.node.processes().items():
            if f"--only {role} --child" in line:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _kill_all(self) -> None:
        self.node.kill()
        self.node.start()

    def _cut(self) -> None:
        before = self._proxy.cuts
        self._proxy.cut_after(self._chance.randint(1, _MOST_BYTES_TO_A_CUT))
        deadline = time.monotonic() + 2 * _MOST_SECONDS
        eventually(lambda: self._proxy.cuts > before or time.monotonic() > deadline)

    def _archive_away(self) -> None:
        self.archive.stop()
        self._wait_a_moment()
        self.archive.start()

    def _disk_full(self) -> None:
        self._disk.fill()
        self._wait_a_moment()
        if self._chance.random() < 0.5:
            self._kill(self._chance.choice(("receive", "work", "deliver")))
            self._wait_a_moment()
        self._disk.empty()

    def _disk_fails(self) -> None:
        self._disk.fail()
        self._wait_a_moment()
        self.node.kill()
        self._disk.unmount()
        assert self._disk.mount()
        self.node.start()
