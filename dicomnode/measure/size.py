"""How large each segment is, by its voxels and by its surface mesh."""

from __future__ import annotations

from highdicom import Volume

from dicomnode.domain.finding import Measurement, Segmentation
from dicomnode.measure import codes
from dicomnode.measure.mesh import mesh_volume
from dicomnode.measure.region import regions, voxel_volume_ml


def measure(volume: Volume, segmentation: Segmentation) -> tuple[Measurement, ...]:
    """Volume of each present segment in ml, which UCUM writes `cm3`.

    Two rows per segment: Volume (118565006, SCT) by the sum of its voxels (126030, DCM) and Volume of Mesh
    (RNU0, IBSI), equal to pyradiomics' MeshVolume. Both come from the grid that is written to the SEG.

    Raises
    ------
    ModelError
        If the mask does not lie on the grid of `volume`.
    """
    voxel_ml = voxel_volume_ml(segmentation.volume)
    found = []
    for region in regions(volume, segmentation):
        found.append(
            Measurement(
                segment_number=region.segment.number,
                name=codes.VOLUME,
                value=int(region.mask.sum()) * voxel_ml,
                unit=codes.CUBIC_CENTIMETER,
                method=codes.SUM_OF_VOXELS,
            )
        )
        found.append(
            Measurement(
                segment_number=region.segment.number,
                name=codes.VOLUME_OF_MESH,
                value=mesh_volume(region.mask) * voxel_ml,
                unit=codes.CUBIC_CENTIMETER,
            )
        )
    return tuple(found)
