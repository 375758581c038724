"""The installed command as a process tree that a test starts, stops, kills and asks."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from tests.acceptance.phantom import PATIENT_ID, PATIENT_NAME
from tests.acceptance.waiting import eventually, free_port

COMMAND = (sys.executable, "-m", "dicomnode")

RULE = """
[[rule]]
name = "dense"
model = "toy"
destinations = ["sender"]
[rule.series]
Modality = "CT"
"""

#: Short waiting times, and a log that says everything it can say.
TABLES: Mapping[str, Mapping[str, Any]] = {
    "node": {"aet": "DICOMNODE", "host": "127.0.0.1", "on_demand": ["NODE_NOW"], "drain_seconds": 10},
    "completion": {"quiet_seconds": 0.5},
    "work": {"retry_seconds": 0.2, "threads": 1},
    "deliver": {"first_retry_seconds": 0.2, "longest_retry_seconds": 0.5},
    "log": {"level": "debug"},
    # However full the disk of the machine is that runs the tests.
    "retention": {"high_percent": 0, "reserve_percent": 0},
}


def peer(name: str, aet: str, port: int, **more: Any) -> str:
    """A `[[peer]]` of the configuration; it accepts research, since no rule here says that it is anything else."""
    accepted = {"accept_research": True, **more}
    return table("[[peer]]", {"name": name, "aet": aet, "host": "127.0.0.1", "port": port, **accepted})


def table(header: str, values: Mapping[str, Any]) -> str:
    """A TOML table; strings, numbers, booleans and lists are written as in JSON."""
    return "\n".join([header, *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""])


class Node:
    """One node with its own configuration, store and log in `folder`.

    Parameters
    ----------
    peers, rules
        Tables of the configuration as text.
    tables
        Settings that differ from `TABLES`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        models: Path,
        peers: Sequence[str] = (),
        rules: str = RULE,
        store: Path | None = None,
        port: int | None = None,
        **tables: Mapping[str, Any],
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.store = store or folder / "store"
        self.configuration = folder / "dicomnode.toml"
        self.log = folder / "node.log"
        self.peers, self.rules, self.models = list(peers), rules, models
        self._tables = {name: {**TABLES.get(name, {}), **tables.get(name, {})} for name in {*TABLES, *tables}}
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        self.configure()

    def configure(self) -> None:
        """Write the configuration as it is now."""
        tables = {**self._tables, "store": {"folder": str(self.store)}, "models": {"folder": str(self.models)}}
        tables["node"] = {**tables["node"], "port": self.port}
        parts = [table(f"[{name}]", values) for name, values in tables.items()]
        self.configuration.write_text("\n".join([*parts, *self.peers, self.rules]))

    # ---- the process tree

    def start(self, environment: Mapping[str, str] | None = None) -> Node:
        """Run the command in a process group of its own until it says that it is ready."""
        said = self.log.stat().st_size
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*COMMAND, "run", "--config", str(self.configuration)],
                cwd=self.folder,
                env={**os.environ, **(environment or {})},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        eventually(lambda: "node ready" in self.text(said) or self._process_ended(), what="node ready")
        assert not self._process_ended(), self.text(said)
        return self

    def wait(self, seconds: float = 60) -> int:
        """The exit status of the command once it has ended by itself."""
        assert self._process is not None
        return self._process.wait(timeout=seconds)

    def terminate(self) -> None:
        """Ask it to end."""
        assert self._process is not None
        self._process.terminate()

    def stop(self) -> int:
        """Ask it to end and wait until it has; its exit status."""
        self.terminate()
        return self.wait()

    def processes(self) -> dict[int, str]:
        """Every living process of this node: number → command line."""
        tree = [pid for pid, line in _command_lines().items() if str(self.configuration) in line]
        return {pid: line for pid, line in _command_lines().items() if pid in tree or _ancestors(pid) & set(tree)}

    def child(self, role: str) -> int:
        """Process number of one of the node's children."""
        (pid,) = (pid for pid, line in self.processes().items() if f"--only {role} --child" in line)
        return pid

    @property
    def supervisor(self) -> int:
        """Process number of the command itself."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Send SIGKILL to every process, the supervisor first, so that nothing is put right."""
        # Numbers of processes begin anew at some point, so the lowest need not be the oldest.
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=60)
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not self.processes(), what="the killed processes to be gone")

    def _process_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    # ---- what it says

    def text(self, since: int = 0) -> str:
        """The log from a byte on."""
        with self.log.open("rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace")

    def says(self, words: str, seconds: float = 60) -> str:
        """Wait for words in the log; all of it."""
        eventually(lambda: words in self.text(), seconds, f"{words!r} in the log")
        return self.text()

    def command(self, *arguments: object, configured: bool = True) -> subprocess.CompletedProcess[str]:
        """Run another verb on the same configuration; what it prints is searched for patients as the log is."""
        line = [*COMMAND, *map(str, arguments), *(["--config", str(self.configuration)] if configured else [])]
        done = subprocess.run(
            line, cwd=self.folder, capture_output=True, text=True, timeout=300, check=False,
            env={**os.environ, "COLUMNS": "400", "NO_COLOR": "1"},
        )  # fmt: skip
        with self.log.open("a") as log:
            log.write(f"$ {' '.join(line[2:])} → {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def why(self, study: str) -> dict[str, Any]:
        """The story of a study as `dicomnode why --json` tells it."""
        return self._json("why", study)

    def status(self) -> dict[str, Any]:
        """What `dicomnode status --json` says."""
        return self._json("status")

    def _json(self, *arguments: str) -> dict[str, Any]:
        done = self.command(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the node's database, read beside the running node; none while there is no database yet."""
        try:
            with closing(sqlite3.connect(f"file:{self.store / 'node.db'}?mode=ro", uri=True, timeout=30)) as db:
                return db.execute(sql, values).fetchall()
        except sqlite3.OperationalError:
            return []

    def idle(self) -> bool:
        """Whether nothing waits or runs and no study is receiving."""
        open_rows = self.rows(
            "SELECT (SELECT COUNT(*) FROM study WHERE state = 'receiving')"
            " + (SELECT COUNT(*) FROM job WHERE state IN ('waiting', 'running'))"
            " + (SELECT COUNT(*) FROM delivery WHERE state IN ('waiting', 'running'))"
            " + (SELECT COUNT(*) FROM association)"
        )
        return open_rows == [(0,)]

    def wait_idle(self, seconds: float = 60) -> None:
        """Wait until everything that came has been dealt with."""
        eventually(self.idle, seconds, "the node to have nothing left to do")

    def leaks(self) -> list[str]:
        """Lines of the log that name the patient."""
        secrets = (PATIENT_NAME, PATIENT_ID, *PATIENT_NAME.split("^"))
        return [line for line in self.text().splitlines() if any(secret in line for secret in secrets)]


def _command_lines() -> dict[int, str]:
    """Command line of every process that is not a zombie."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                found[int(folder.name)] = (
                    (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
    return {pid: line for pid, line in found.items() if line}


def _ancestors(pid: int) -> set[int]:
    found: set[int] = set()
    with suppress(OSError, ValueError):
        while pid > 1:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
            found.add(pid)
    return found
