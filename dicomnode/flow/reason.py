"""Says in a sentence why an analysis came to nothing."""

from __future__ import annotations

from dicomnode.domain.errors import DicomNodeError
from dicomnode.report.boundary import told

#: What the runtime says instead names array shapes, which tell a reader nothing.
NO_MEMORY = "the analysis needs more memory than there is; give it more, or the model smaller tiles or coarser voxels"


def in_words(error: Exception) -> str:
    """The reason as a reader is told it; what nobody foresaw is told by its kind and place."""
    if isinstance(error, MemoryError):
        return NO_MEMORY
    return str(error) if isinstance(error, DicomNodeError) else told(error)
