"""Where networks run: the execution providers of onnxruntime that are installed, and the memory they have."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import onnxruntime

from dicomnode.domain.errors import ConfigError, Fault

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

#: The control node of NVIDIA's driver on Linux. Asking for CUDA without a card costs an error on stderr per session.
NVIDIA = Path("/dev/nvidiactl")

#: nvidia-smi answers in well under a second; a driver that hangs must not hang the job.
_ASK_SECONDS = 10.0


class Device(StrEnum):
    """What a setting may ask for; `auto` takes a graphics card where there is one."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The providers to use, the best first, and what is lacking for what was asked."""

    providers: tuple[str, ...]
    lacking: str = ""

    @property
    def is_cpu(self) -> bool:
        """Whether nothing but the processor is left."""
        return self.providers == (CPU,)


def choose(device: str) -> Choice:
    """The providers for a setting.

    Raises
    ------
    ConfigError
        If the setting is none of `Device`.
    """
    try:
        asked = Device(device)
    except ValueError as error:
        remedy = f"write one of {', '.join(Device)}"
        raise ConfigError([Fault(key="device", value=device, remedy=remedy)]) from error
    if asked is Device.CPU:
        return Choice(providers=(CPU,))
    installed = onnxruntime.get_available_providers()
    wanted = (TENSORRT, CUDA) if asked is Device.TENSORRT else (CUDA,)
    lacking = ""
    if not NVIDIA.exists():
        lacking = "no graphics card is visible to its driver"
    elif missing := [provider for provider in wanted if provider not in installed]:
        lacking = f"this onnxruntime has no {' and no '.join(missing)}"
    if lacking:
        return Choice(providers=(CPU,), lacking="" if asked is Device.AUTO else f"{asked} was asked for, but {lacking}")
    # Finds CUDA libraries that came as Python packages; what it prints must not mix with the answers of a command.
    with redirect_stdout(sys.stderr):
        onnxruntime.preload_dlls()
    return Choice(providers=(*wanted, CPU))


def free_device_bytes() -> int | None:
    """Free memory of the first graphics card; None where nobody can tell."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    question = [tool, "--query-gpu=memory.free", "--format=csv,noheader,nounits", "--id=0"]
    try:
        told = subprocess.run(question, capture_output=True, text=True, timeout=_ASK_SECONDS, check=True).stdout
        return int(told.split()[0]) * 1024**2
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
