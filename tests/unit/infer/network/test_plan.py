"""Memory that control groups leave, in a file system made for the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.infer.network import plan

OWN = Path("/proc/self/cgroup")


@pytest.mark.skipif(not OWN.exists(), reason="control groups are told by proc(5)")
def test_the_limit_of_every_group_above_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for line in OWN.read_text().splitlines() if line.startswith("0::")]
    if not lines:
        pytest.skip("no control groups of version 2")
    monkeypatch.setattr(plan, "_GROUPS", tmp_path)
    assert plan._group_bytes() is None
    inner = tmp_path / lines[0][3:].strip().lstrip("/")
    inner.mkdir(parents=True, exist_ok=True)
    limit(inner, "max", 100)
    assert plan._group_bytes() is None
    limit(tmp_path, "5000", 3000)
    assert plan._group_bytes() == 2200
    limit(inner, "9000" if inner == tmp_path else "1000", 100)
    assert plan._group_bytes() == (9100 if inner == tmp_path else 1100)


def limit(folder: Path, most: str, used: int) -> None:
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text("anon 5\ninactive_file 200\n")
