"""What the driver's library says arrives as it is; a machine without one says nothing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from dicomnode.flow import pulse
from dicomnode.flow.metrics import gpu

#: Two GPUs with the functions of nvml.h (NVML API reference), the second without a figure for its load.
LIBRARY = """
typedef void *device;
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned int gpu, memory; } load;
static int devices[2];
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device *found) { *found = &devices[index]; return 0; }
int nvmlDeviceGetMemoryInfo(device one, memory *found) {
    found->total = 80ull << 30; found->used = one == &devices[0] ? 5ull << 30 : 0; found->free = 0; return 0;
}
int nvmlDeviceGetUtilizationRates(device one, load *found) {
    if (one == &devices[1]) return 3;
    found->gpu = 37; found->memory = 5; return 0;
}
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    source, made = tmp_path / "nvml.c", tmp_path / "nvml.so"
    source.write_text(LIBRARY)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(made), str(source)], check=True)
    monkeypatch.setattr(gpu, "_LIBRARY", str(made))
    gpu._nvml.cache_clear()
    monkeypatch.setattr(gpu, "_nvml", gpu._nvml.__wrapped__)


@pytest.mark.usefixtures("library")
def test_memory_and_load_of_every_gpu_are_told() -> None:
    first, second = gpu.gpus()
    assert (first.index, first.used_bytes, first.size_bytes, first.busy) == (0, 5 << 30, 80 << 30, 0.37)
    assert (second.used_bytes, second.busy) == (0, 0.0)


@pytest.mark.usefixtures("library")
def test_others_are_told_by_the_process_that_may_see_them(tmp_path: Path) -> None:
    with gpu.told_gpus(tmp_path):
        for _ in range(1000):
            if gpu.gpus_told(tmp_path):
                break
            Event().wait(0.01)
    assert [one.index for one in gpu.gpus_told(tmp_path)] == [0, 1]
    pulse.note(tmp_path, "gpus", 5000.0)
    pulse.note(tmp_path, "work")
    assert gpu.gpus_told(tmp_path) == [], "whatever lives beside the driver, what is old is not told"


def test_a_gpu_that_falls_over_is_told_no_more_and_again_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Event] = [Event() for _ in range(4)]
    there = gpu.Gpu(index=0, used_bytes=70 << 30, size_bytes=80 << 30, busy=1.0)

    def look() -> Iterator[gpu.Gpu]:
        number = sum(one.is_set() for one in looks)
        if number != 1:
            yield there
        looks[min(number, 3)].set()

    seen: list[list[gpu.Gpu]] = []
    monkeypatch.setattr(gpu, "gpus", look)
    monkeypatch.setattr(gpu, "_TELL_SECONDS", 0.0)
    say = pulse.say

    def told(*words: Any) -> None:
        say(*words)
        seen.append(gpu.gpus_told(tmp_path))

    monkeypatch.setattr(pulse, "say", told)
    with gpu.told_gpus(tmp_path):
        assert looks[3].wait(10)
    assert seen[:3] == [[there], [], [there]]


def test_without_a_driver_there_is_nothing_to_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_LIBRARY", "libof-nobody.so.1")
    monkeypatch.setattr(gpu, "_nvml", gpu._nvml.__wrapped__)
    assert list(gpu.gpus()) == []
    with gpu.told_gpus(tmp_path):
        pass
    assert gpu.gpus_told(tmp_path) == []
