"""A DICOM AI node that stands beside the PACS."""

import os

__version__ = "0.1.0"

# OpenBLAS, which numpy brings, reads it once, when it is loaded. Features ask for eigenvalues of small matrices, over
# which its threads wait for each other (bench/RESULTS.md), and where there is more to do processes share the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
