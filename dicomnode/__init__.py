"""A DICOM AI node that stands beside the PACS."""

import os

__version__ = "0.1.0"

# OpenBLAS, which numpy brings, reads it once, when it is loaded. Features ask for eigenvalues of small matrices, over
# which its threads wait for each other (bench/RESULTS.md), and where there is more to do processes share the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# ONNX Runtime tells its maker over the network what it runs on, and names the machine by a number that it keeps in the
# home directory, unless this is set before it is loaded (its Privacy.md). A node in a hospital calls nobody unasked.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
