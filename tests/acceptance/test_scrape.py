"""What a scrape costs does not grow with the store: at most 50 ms with 100 000 instances."""

from __future__ import annotations

import os
import statistics
import sys
from contextlib import closing
from pathlib import Path
from time import process_time

import pytest
from pydicom import dcmread

from dicomnode.config import parse
from dicomnode.domain.header import Header
from dicomnode.flow.metrics.fold import Fold
from dicomnode.flow.metrics.reading import read
from dicomnode.store.counts import Counts
from dicomnode.store.database import Database
from dicomnode.web.metrics import exposition
from tests.acceptance.phantom import make_ct
from tests.torture.million import fill

pytestmark = pytest.mark.acceptance

SECONDS = 0.05
INSTANCES = int(os.environ.get("DICOMNODE_TEST_INSTANCES", "100000"))


def test_a_scrape_of_a_large_store_takes_no_time_to_speak_of(tmp_path: Path) -> None:
    header = Header.of(dcmread(make_ct(tmp_path / "ct", slices=1).files[0], stop_before_pixels=True).to_json_dict())
    store = tmp_path / "store"
    fill(store, INSTANCES, header)
    peers = [{"name": f"P{one}", "aet": f"P{one}", "host": "127.0.0.1", "port": 104} for one in range(20)]
    settings = parse({"store": {"folder": str(store)}, "peer": peers, "audit": {"enabled": False}})
    with closing(Database(store / "node.db")) as db:
        db.execute("UPDATE counted SET event_id = 0")
        begun = process_time()
        events = Fold(db).run()
        sys.stderr.write(f"\ncounting {events} events: {process_time() - begun:.2f} s of processor time")
        with db.transaction():
            # Every series that a node with many peers and models has.
            Counts(db).add({
                (f"dicomnode_{name}", (*labels, limit)): 1.0
                for name, labels in (
                    *(("model_run_seconds", (f"m{one}",)) for one in range(20)),
                    *(("delivery_seconds", (f"P{one}",)) for one in range(20)),
                )
                for limit in ("0.5", "60.0", "+Inf", "sum")
            })  # fmt: skip
        seconds, length = [], 0
        for _ in range(15):
            begun = process_time()
            length = len(exposition(read(db, settings)))
            seconds.append(process_time() - begun)
        sys.stderr.write(
            f"\nscrape of {INSTANCES} instances, {length} bytes: median {statistics.median(seconds) * 1e3:.1f} ms"
        )
    assert statistics.median(seconds) < SECONDS
