"""A small made CT with a bright ball, of which the toy network's answer is known voxel by voxel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from dicomnode.train.phantoms import Phantom
from dicomnode.train.series import to_datasets

PATIENT_NAME = "DONT^LOGME"
PATIENT_ID = "SECRET-ID"

#: The toy bundle's working grid, so that nothing is interpolated on the way.
SPACING_MM = (4.0, 2.0, 2.0)

RADIUS_MM = 15.0


def _surroundings(shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Lung-like values in HU with blobs of some 20 mm, never as dense as the ball."""
    blobs = gaussian_filter(np.random.default_rng(0).standard_normal(shape), (2.0, 4.0, 4.0))
    return np.asarray(np.clip(-600.0 + 300.0 * blobs / blobs.std(), -1000.0, -200.0), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ct:
    """Files of one series and where its ball is."""

    study: str
    folder: Path
    files: tuple[Path, ...]
    ball: npt.NDArray[np.bool_]
    origin_mm: tuple[float, float, float]


def make_ct(
    folder: Path,
    *,
    seed: int = 1,
    slices: int = 12,
    announced: int | None = None,
    radius_mm: float = RADIUS_MM,
    structured: bool = False,
) -> Ct:
    """Write a CT of `slices` × 64 × 64 voxels, made today.

    Parameters
    ----------
    announced
        Images in Acquisition, where the series says how many images it has.
    structured
        Whether there is something round the ball, the same for every seed, by which two studies can be registered.
    """
    grid = np.indices((slices, 64, 64)).transpose(1, 2, 3, 0) * SPACING_MM
    centre = np.array([(slices - 1) * SPACING_MM[0] / 2, 50.0, 70.0])
    ball = np.linalg.norm(grid - centre, axis=-1) <= radius_mm
    phantom = Phantom(
        hounsfield=np.where(ball, 300, _surroundings(ball.shape) if structured else -800).astype(np.int16),
        labels=ball.astype(np.uint8),
        spacing_mm=SPACING_MM,
        origin_mm=(-64.0, -64.0, 100.0),
        seed=seed,
    )
    folder.mkdir(parents=True)
    files = []
    datasets = to_datasets(
        phantom, patient_name=PATIENT_NAME, patient_id=PATIENT_ID, study_date=datetime.now(UTC).date()
    )
    for number, ds in enumerate(datasets):
        if announced is not None:
            ds.ImagesInAcquisition = announced
        path = folder / f"{number:03}.dcm"
        ds.save_as(path, enforce_file_format=True)
        files.append(path)
    return Ct(
        study=str(datasets[0].StudyInstanceUID),
        folder=folder,
        files=tuple(files),
        ball=ball,
        origin_mm=phantom.origin_mm,
    )
