"""The sarcoma corpus: PET, CT and contour of every patient, as volumes and on the grid of the network."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK
from highdicom import Volume

from dicomnode.domain.model import ModelSpec
from dicomnode.infer.prepare.grid import Grid
from dicomnode.infer.prepare.image import Image
from dicomnode.infer.prepare.pipeline import prepare

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

CORPUS = "sts_corpus"
"""Folder of the patients below the folder of data sets."""
HELD_OUT = ("STS_002", "STS_005", "STS_010")
"""Patients whose images are there as DICOM: tested on, never trained on, and no part of the cross-validation."""
AIR_HU = -1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One patient.

    Attributes
    ----------
    pet
        SUV by body weight, axes (slice, row, column), LPS.
    ct
        Attenuation in HU; where `has_ct` is false it holds air alone, on the grid of the PET.
    truth
        Voxels of the PET inside the gross tumour volume.
    """

    name: str
    pet: Volume = field(repr=False)
    ct: Volume = field(repr=False)
    truth: Mask = field(repr=False)
    has_ct: bool

    @property
    def truth_ml(self) -> float:
        """Volume of the contour."""
        return float(self.truth.sum() * np.prod(self.pet.spacing) / 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One patient as the network sees him.

    Attributes
    ----------
    image
        Scaled PET and CT, (2, slice, row, column).
    truth
        Share of tumour in every voxel, (slice, row, column).
    """

    name: str
    image: Floats = field(repr=False)
    truth: Floats = field(repr=False)
    has_ct: bool


def training_folders(data: Path) -> list[Path]:
    """The patients that may be trained on, by name.

    Raises
    ------
    ValueError
        If there are none.
    """
    found = sorted(folder for folder in (data / CORPUS).glob("STS_*") if folder.name not in HELD_OUT)
    if not found:
        raise ValueError(f"{data}: no folder {CORPUS}/STS_*, needed the patients of the corpus")
    return found


def read_case(folder: Path) -> Case:
    """Read one patient of the corpus; an empty CT file, of which the corpus holds some, gives a case without CT.

    Raises
    ------
    ValueError
        If the contour does not lie on the grid of the PET.
    """
    pet, mask = (_volume(folder / f"PET_{kind}.nii.gz") for kind in ("image", "mask"))
    if mask.spatial_shape != pet.spatial_shape or not np.allclose(mask.affine, pet.affine, atol=1e-3):
        raise ValueError(f"{folder.name}: the contour lies on another grid than the PET, needed the same")
    has_ct = (folder / "CT_image.nii.gz").stat().st_size > 0
    if has_ct:
        ct = _volume(folder / "CT_image.nii.gz")
    else:
        ct = pet.with_array(np.full(pet.spatial_shape, AIR_HU, dtype=np.float32))
    return Case(name=folder.name, pet=pet, ct=ct, truth=mask.array > 0, has_ct=has_ct)


def sample_of(case: Case, spec: ModelSpec) -> Sample:
    """The case after the very steps that the bundle declares."""
    prepared = prepare([case.pet, case.ct], spec)
    truth = Image(array=case.truth.astype(np.float32), grid=Grid.of(case.pet)).onto(prepared.grid, outside=0.0)
    return Sample(name=case.name, image=prepared.array, truth=truth.floats(), has_ct=case.has_ct)


def samples(folders: list[Path], spec: ModelSpec, cache: Path) -> list[Sample]:
    """All cases prepared, kept in `cache` under a name that tells source and steps."""
    cache.mkdir(parents=True, exist_ok=True)
    return [_cached(folder, spec, cache) for folder in folders]


def _cached(folder: Path, spec: ModelSpec, cache: Path) -> Sample:
    sizes = [path.stat().st_size for path in sorted(folder.glob("*.nii.gz"))]
    steps = hashlib.sha256(repr((sizes, spec.prepare)).encode()).hexdigest()[:12]
    path = cache / f"{folder.name}-{steps}.npz"
    if path.exists():
        with np.load(path) as kept:
            return Sample(name=folder.name, image=kept["image"], truth=kept["truth"], has_ct=bool(kept["has_ct"]))
    sample = sample_of(read_case(folder), spec)
    temporary = path.with_suffix(".part.npz")
    np.savez(temporary, image=sample.image, truth=sample.truth, has_ct=np.array(sample.has_ct))
    temporary.replace(path)
    return sample


def _volume(path: Path) -> Volume:
    """A NIfTI file in LPS."""
    image: Any = SimpleITK.ReadImage(str(path))
    directions = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine = np.eye(4)
    affine[:3, :3] = directions[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    array = SimpleITK.GetArrayFromImage(image)
    return Volume(array.astype(np.float32), affine, coordinate_system="PATIENT")
