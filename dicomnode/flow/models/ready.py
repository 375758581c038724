"""Loads the networks that rules name before the first study waits for them."""

from __future__ import annotations

import structlog

from dicomnode.config import Settings
from dicomnode.domain.errors import ModelError, Unsuitable
from dicomnode.flow.preflight.warm import warmed
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.infer.network.session import Sessions

_log = structlog.get_logger(__name__)


def ready(settings: Settings, sessions: Sessions) -> None:
    """Load what the rules will ask for; on a graphics card, which chooses its kernels then, run a tile of nothing, too.

    A model that cannot be used says so with its first job.
    """
    bundles, _ = find_bundles(settings.models.folder)
    for name in dict.fromkeys(rule.model for rule in settings.rules if rule.model in bundles):
        spec = bundles[name]
        try:
            sessions.get(spec)
            if spec.weights and not sessions.on_cpu:
                warmed(spec, sessions)
        except (ModelError, Unsuitable) as error:
            _log.warning("model not ready", model=name, reason=str(error))
