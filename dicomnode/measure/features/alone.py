"""Imported first by the processes of radiomics: each has a core to itself, so linear algebra takes one thread."""

from __future__ import annotations

import os

# OpenBLAS, which numpy brings, reads it once, when it is loaded; its threads of several processes would contend.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
