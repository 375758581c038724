"""Inference against the pure runtime: wall time of the same tiles, and peak memory against the size of the volume.

    .venv/bin/python bench/inference.py --slices 300 --runs 5

Prints the ratio of wall times and of processor times (everything from the prepared volume to blended probabilities,
over onnxruntime alone on tiles that were cut before), and the peak resident memory of a whole answer above idle in
units of the int16 volume.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from pydicom import Dataset

from dicomnode.domain.finding import SourceSeries, planes_of
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.answer import answer
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.mask import probabilities
from dicomnode.infer.network.ensemble import Ensemble
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.network.tiles import cut, places
from dicomnode.infer.prepare.pipeline import prepare

MODELS = Path(__file__).resolve().parents[1] / "models"

NATIVE = """
[model]
name = "native"
version = "1.0.0"
title = "Two labels at native spacing"
status = "demo"
task = "segment"
manufacturer = "bench"
licence = "Apache-2.0"
onnx = "model.onnx"
sha256 = "{sha256}"
[input.ct]
Modality = "CT"
[[prepare]]
step = "clip"
range = [-1000.0, 1000.0]
[[prepare]]
step = "scale"
range = [-1000.0, 1000.0]
[tile]
shape = [16, 192, 192]
overlap = 0.25
batch = 1
[output]
activation = "softmax"
[[post]]
step = "keep_largest"
[[post]]
step = "fill_holes"
"""

SEGMENT = """
[[segment]]
number = {number}
label = "Label {number}"
category = {{ value = "91723000", scheme = "SCT", meaning = "Anatomical Structure" }}
type = {{ value = "39607008", scheme = "SCT", meaning = "Lung" }}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--only", choices=["time", "memory"])
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    shape = (arguments.slices, arguments.size, arguments.size)
    if arguments.peak:
        print(peak_ratio(shape))
        return
    if arguments.only != "memory":
        taken = inference_seconds(shape, load_bundle(MODELS / "lung-ct"), arguments.runs, arguments.threads)
        for name, ours, pure in zip(("wall", "processor"), *taken, strict=True):
            told = f"{ours:.2f} s over {pure:.2f} s, the least of {arguments.runs} runs each"
            print(f"{name} time of lung-ct over onnxruntime alone: {ours / pure:.3f} ({told})")
    if arguments.only != "time":
        # In a process of its own, so that nothing measured before is resident.
        child = [sys.executable, __file__, "--peak", "--slices", str(shape[0]), "--size", str(shape[1])]
        ratio = float(subprocess.run(child, check=True, capture_output=True, text=True).stdout)
        print(f"peak resident memory above idle over the int16 volume, two labels, native spacing: {ratio:.2f}")


def inference_seconds(
    shape: tuple[int, int, int], spec: ModelSpec, runs: int, threads: int = 0
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Wall and processor time from the prepared volume to blended probabilities, and of onnxruntime on the same tiles.

    Both take turns; what else the machine does only adds, so the least of each are to be compared. On a busy machine
    the processor time with one thread says more: nothing waits for a thread that does not run.
    """
    ensemble = Ensemble(spec, Sessions(threads=threads, device="cpu"))
    array = prepare([body(shape)], spec).array
    tiles = [cut(array, start, spec.tile)[None] for start in product(*places(array.shape[1:], spec.tile))]
    session = Sessions(threads=threads, device="cpu").load(spec, spec.weights[0])

    def pure() -> None:
        for tile in tiles:
            session.run(["logits"], {"image": tile})

    # The first run of a session plans its memory.
    session.run(["logits"], {"image": tiles[0]})
    ensemble.run(spec.weights[0], tiles[0])
    pairs = [(seconds(lambda: probabilities(array, ensemble)), seconds(pure)) for _ in range(runs)]
    ours, theirs = zip(*pairs, strict=True)
    return least(ours), least(theirs)


def least(times: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The least wall and the least processor time."""
    return min(wall for wall, _ in times), min(processor for _, processor in times)


def peak_ratio(shape: tuple[int, int, int]) -> float:
    """Peak resident memory of a whole answer above idle, in units of the int16 volume; Linux only."""
    with tempfile.TemporaryDirectory() as name:
        spec = native(Path(name) / "native")
        sessions = Sessions(threads=1, device="cpu")
        # Idle: the process as it waits for work, libraries and network loaded.
        answer([source(body((32, 192, 192)))], spec, sessions)
        idle = resident_bytes("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        series = source(body(shape))
        answer([series], spec, sessions)
        return (resident_bytes("VmHWM") - idle) / series.volume.array.nbytes


def native(folder: Path) -> ModelSpec:
    """A bundle with two labels that works on the source's own grid; its network thresholds."""
    from onnx import TensorProto, helper

    shape = ["batch", None, "slice", "row", "column"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w", "b"], ["logits"])],
        "threshold",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [*shape[:1], 1, *shape[2:]])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*shape[:1], 3, *shape[2:]])],
        [
            helper.make_tensor("w", TensorProto.FLOAT, [3, 1, 1, 1, 1], [0.0, -60.0, 60.0]),
            helper.make_tensor("b", TensorProto.FLOAT, [3], [0.0, 15.0, -30.0]),
        ],
    )
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    text = NATIVE.format(sha256=hashlib.sha256(content).hexdigest())
    text += "".join(SEGMENT.format(number=number) for number in (1, 2))
    folder.mkdir()
    (folder / "model.toml").write_text(text)
    (folder / "model.onnx").write_bytes(content)
    return load_bundle(folder)


def body(shape: tuple[int, int, int]) -> Volume:
    """An ellipse of soft tissue in air with two air-filled ellipses, int16 HU with noise, 1 × 0.7 × 0.7 mm."""
    random = np.random.default_rng(0)
    rows, columns = (np.indices(shape[1:]) / np.array(shape[1:]).reshape(2, 1, 1)) - 0.5
    plane = np.full(shape[1:], -1000, dtype=np.int16)
    plane[np.hypot(rows / 0.35, columns / 0.45) <= 1] = 40
    for side in (-0.2, 0.2):
        plane[np.hypot(rows / 0.25, (columns - side) / 0.15) <= 1] = -850
    array: npt.NDArray[np.int16] = np.empty(shape, dtype=np.int16)
    for slab in array:
        slab[...] = plane + random.integers(-20, 20, plane.shape, dtype=np.int16)
    affine = np.array([[0, 0, 0.7, -180], [0, 0.7, 0, -180], [1, 0, 0, -300], [0, 0, 0, 1]], dtype=float)
    return Volume(array=array, affine=affine, coordinate_system="PATIENT")


def source(volume: Volume) -> SourceSeries:
    """A series without files."""
    return SourceSeries(volume=volume, planes=planes_of((Dataset(),) * volume.spatial_shape[0]))


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall time and processor time."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def resident_bytes(key: str) -> int:
    """`VmRSS` (now) or `VmHWM` (peak since it was reset) of this process, proc(5)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[key].split()[0]) * 1024


if __name__ == "__main__":
    main()
