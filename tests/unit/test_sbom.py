"""The bill of materials names what is installed and what the models are."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_bill_names_every_part_with_its_version_and_is_the_same_each_time() -> None:
    first, again = (
        subprocess.run([sys.executable, ROOT / "release" / "sbom.py"], capture_output=True, check=True).stdout
        for _ in range(2)
    )
    assert first == again
    bill = json.loads(first)
    parts = {one["name"]: one for one in bill["components"]}
    assert parts["pydicom"]["version"] == version("pydicom")
    assert parts["pydicom"]["purl"] == f"pkg:pypi/pydicom@{version('pydicom')}"
    # What tests alone need is no part of the node.
    assert "numpy" in parts and "pytest" not in parts
    model = tomllib.loads((ROOT / "models" / "lung-ct" / "model.toml").read_text())
    weights = parts["lung-ct/model.onnx"]["hashes"][0]["content"]
    assert weights == hashlib.sha256((ROOT / "models/lung-ct/model.onnx").read_bytes()).hexdigest()
    assert weights in json.dumps(model)
    edges = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
    assert "pydicom" in edges["dicomnode-ai"] and {one for part in edges.values() for one in part} <= parts.keys()
