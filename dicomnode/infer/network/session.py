"""Networks loaded once and kept warm, on the device that the settings ask for."""

from __future__ import annotations

import tempfile
from pathlib import Path
from threading import Lock

import onnxruntime
import structlog

from dicomnode.domain.model import ModelSpec, Weights
from dicomnode.infer.bundle.load import read_network
from dicomnode.infer.network.device import CPU, choose
from dicomnode.infer.network.external import require_self_contained
from dicomnode.infer.network.fit import require_fitting
from dicomnode.infer.network.runtime import mapped

_log = structlog.get_logger(__name__)


class Sessions:
    """Inference sessions by the hash of their network, shared by all jobs of a process.

    Parameters
    ----------
    threads
        Threads of one inference on the CPU; 0 lets onnxruntime take one per core.
    device
        `auto`, `cpu`, `cuda` or `tensorrt`. What is not there is replaced by the CPU, and `lacking` says so.
    scratch
        Folder for what does not fit into memory; the system's for temporary files when None.

    Raises
    ------
    ConfigError
        If there is no such device.
    """

    def __init__(self, threads: int = 0, device: str = "auto", scratch: Path | None = None) -> None:
        self._threads = threads
        #: Processes that may share the work beside inference; whoever makes this object says how many.
        self.radiomics_processes = 1
        self._warm: dict[tuple[str, bool], onnxruntime.InferenceSession] = {}
        # By the folder of a bundle, so that a network that was replaced leaves memory and card.
        self._wanted: dict[Path, frozenset[str]] = {}
        self._lock = Lock()
        self._told: set[str] = set()
        self._choice = choose(device)
        self.scratch = Path(tempfile.gettempdir()) if scratch is None else scratch
        if self._choice.lacking:
            self.tell(self._choice.lacking)

    @property
    def lacking(self) -> str:
        """Why the device that was asked for is not used; empty if it is."""
        return self._choice.lacking

    @property
    def on_cpu(self) -> bool:
        """Whether networks run on the processor from the start."""
        return self._choice.is_cpu

    def get(self, spec: ModelSpec) -> onnxruntime.InferenceSession | None:
        """The session of a model's first network, if it has one; all are loaded and held against the bundle.

        Raises
        ------
        ModelError
            If a network is missing, is not the declared one, cannot be loaded, or does not fit its description.
        """
        if spec.cascade is not None:
            self.get(spec.cascade.model)
        found = [self.load(spec, weights) for weights in spec.weights]
        return found[0] if found else None

    def load(self, spec: ModelSpec, weights: Weights, *, on_cpu: bool = False) -> onnxruntime.InferenceSession:
        """The session of one network, loaded at the first call.

        Parameters
        ----------
        on_cpu
            Whether to leave the graphics card out, because it has failed.

        Raises
        ------
        ModelError
            As `get`.
        """
        key = (weights.sha256, on_cpu or self.on_cpu)
        with self._lock:
            self._drop_replaced(spec)
            session = self._warm.get(key)
            if session is None:
                session = self._warm[key] = self._loaded(spec, weights, key[1])
        require_fitting(session, spec, weights)
        return session

    def _drop_replaced(self, spec: ModelSpec) -> None:
        """Forget networks that no bundle names any more; a job that still runs one keeps its own hold on it."""
        hashes = frozenset(weights.sha256 for weights in spec.weights)
        if self._wanted.get(spec.folder) != hashes:
            self._wanted[spec.folder] = hashes
            wanted = frozenset().union(*self._wanted.values())
            self._warm = {key: session for key, session in self._warm.items() if key[0] in wanted}

    def tell(self, reason: str) -> None:
        """Log a reason for running on the CPU, each once in the life of the process."""
        if reason not in self._told:
            self._told.add(reason)
            _log.warning("inference falls back to the CPU", reason=reason)

    def _loaded(self, spec: ModelSpec, weights: Weights, on_cpu: bool) -> onnxruntime.InferenceSession:
        network = read_network(spec, weights)
        require_self_contained(spec.name, weights.onnx, network)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        providers = [CPU] if on_cpu else [*self._choice.providers]
        with mapped(spec):
            # Without this, onnxruntime prints to stdout and tries again on its own when a provider fails.
            return onnxruntime.InferenceSession(network, options, providers=providers, enable_fallback=0)
