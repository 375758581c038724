"""The order of system calls behind one C-STORE: SIGKILL proves no fsync, since the kernel keeps what was written."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.peers import CountingPacs, send
from tests.acceptance.phantom import Ct
from tests.acceptance.running import Node
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.acceptance

#: Calls that write, name or answer. The interpreter writes its files by `write`, SQLite its WAL by `pwrite64`.
CALLS = "openat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,link,linkat,sendto,sendmsg"

#: `[pid 7] 12:00:00.000001 fsync(5</store/file>) = 0`, paths shown by --decode-fds (strace(1)).
LINE = re.compile(r"^(?P<pid>\d+) +(?P<call>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)")
RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. (?P<call>\w+) resumed>(?P<rest>.*)$")
UNFINISHED = re.compile(r"^(?P<pid>\d+) +(?P<begin>.*) <unfinished \.\.\.>$")


@pytest.fixture
def trace(node: Node, pacs: CountingPacs, tmp_path: Path) -> Iterator[Path]:
    """What the listener of a running node asks of the kernel, line by line."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("strace is not installed; Debian package strace")
    node.start()
    path = tmp_path / "trace"
    command = [
        program,
        "-f",
        "-y",
        "-s",
        "32",
        "-e",
        f"trace={CALLS}",
        "-o",
        str(path),
        "-p",
        str(node.child("receive")),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            tracer.kill()
            pytest.skip(f"strace may not attach here: {said.strip()}")
        yield path
        tracer.terminate()


def test_the_answer_to_a_c_store_leaves_after_file_folder_and_log_are_on_the_disk(
    node: Node, trace: Path, ct: Ct
) -> None:
    assert set(send(ct.files[:1], node.port).values()) == {0}
    eventually(lambda: _answer(_calls(trace)) is not None, what="the answer in the trace")

    calls = _calls(trace)
    (kept,) = (name for (name,) in node.rows("SELECT path FROM instance"))
    folder, final, part = str((node.store / kept).parent), str(node.store / kept), "/incoming/arriving-"
    answer = _answer(calls)
    assert answer is not None
    order = [
        _first(calls, 0, "write", part),
        _first(calls, 0, "fsync", part),
        _first(calls, 0, "rename", final),
    ]
    order.append(_first(calls, order[-1], "fsync", f"<{folder}>"))
    order.append(_first(calls, order[-1], "pwrite64", "node.db-wal"))
    order.append(_last(calls, answer, "pwrite64", "node.db-wal"))
    order.append(_first(calls, order[-1], "fdatasync", "node.db-wal"))
    order.append(answer)

    assert order == sorted(order), [calls[number] for number in order]
    written = [number for number, call in enumerate(calls[: order[1]]) if "write" in call and part in call]
    assert max(written) < order[1], "nothing is written to the file after its fsync"
    assert not [call for call in calls[order[1] : order[2]] if "write" in call and part in call]


def _calls(trace: Path) -> list[str]:
    """Calls in the order in which they ended, as `name(arguments)`."""
    begun: dict[str, str] = {}
    calls = []
    for line in trace.read_text(errors="replace").splitlines():
        if found := UNFINISHED.match(line):
            begun[found["pid"]] = found["begin"]
            continue
        if found := RESUMED.match(line):
            line = f"{found['pid']} {begun.pop(found['pid'], '')}{found['rest']}"
        if (done := LINE.match(line)) and int(done["result"]) >= 0:
            calls.append(f"{done['call']}({done['arguments']})")
    return calls


def _answer(calls: list[str]) -> int | None:
    """Where the C-STORE-RSP left: the first P-DATA-TF (PDU type 04H, PS3.8 9.3.5) that was sent."""
    sent = (
        n
        for n, call in enumerate(calls)
        if re.match(r"(sendto|sendmsg|write)\(\d+<(TCP|socket)", call) and '"\\4\\0' in call
    )
    return next(sent, None)


def _first(calls: list[str], since: int, name: str, about: str) -> int:
    found = [n for n, call in enumerate(calls) if n >= since and call.startswith(name) and about in call]
    assert found, f"no {name} of {about} after call {since} in {calls}"
    return found[0]


def _last(calls: list[str], before: int, name: str, about: str) -> int:
    found = [n for n, call in enumerate(calls) if n < before and call.startswith(name) and about in call]
    assert found, f"no {name} of {about} before call {before}"
    return found[-1]
