"""How large each segment is: volume by voxels and by mesh, and of lesions what tumour boards ask for."""

from __future__ import annotations

from highdicom import Volume

from dicomnode.domain.finding import Segmentation
from dicomnode.domain.measuring import MeasureSpec
from dicomnode.measure import codes, lesion
from dicomnode.measure.measured import Measured, joined, missing, row
from dicomnode.measure.mesh import doubtful, mesh_volume
from dicomnode.measure.region import Region, regions, voxel_volume_ml


def measure(volume: Volume, segmentation: Segmentation, spec: MeasureSpec | None = None) -> Measured:
    """Volume of each present segment in ml, which UCUM writes `cm3`, and more of those that are lesions.

    Every segment has Volume (118565006, SCT) by the sum of its voxels (126030, DCM) and Volume of Mesh (RNU0, IBSI),
    equal to pyradiomics' MeshVolume. Both come from the grid that is written to the SEG. Numbers of the mesh are
    indeterminate where it says nothing (`mesh.doubtful`). Segments whose subject is a
    lesion or a lymph node have after these, as far as they can be told:

    - Long axis and Short axis in the plane by RECIST 1.1, with end points and plane, and their product (WHO, RANO);
    - Maximum 3D Diameter, Surface Area and Sphericity of the mesh (L0JK, C0JK, QCFX, IBSI);
    - Depth, Length and Width of the bounding box, each with the edge that it is, and the three coordinates of the
      centroid, each with the point itself;
    - Distance to pleura, where `spec.lungs` are known and the lesion (no node) touches them;
    - the volumes of `spec.parts`.

    A lesion that the model describes and did not find is absent as not attempted (114007, DCM).

    Parameters
    ----------
    volume
        Rescaled intensities on the grid of `segmentation`.
    spec
        What the bundle asks for; nothing beyond the default when None.

    Raises
    ------
    ModelError
        If the mask does not lie on the grid of `volume`.
    """
    spec = spec or MeasureSpec()
    present = regions(volume, segmentation)
    found = [_volumes(segmentation, region) for region in present]
    found += [
        lesion.measure(volume, segmentation, region, spec) for region in present if lesion.is_lesion(region.segment)
    ]
    seen = {region.segment.number for region in present}
    found += [
        missing(
            segment.number,
            [(codes.VOLUME, codes.CUBIC_CENTIMETER)],
            codes.NOT_ATTEMPTED,
            "the segment has no voxels",
            method=codes.SUM_OF_VOXELS,
        )
        for segment in segmentation.segments
        if lesion.is_lesion(segment) and segment.number not in seen
    ]
    return joined(found)


def _volumes(segmentation: Segmentation, region: Region) -> Measured:
    number = region.segment.number
    voxel_ml = voxel_volume_ml(segmentation.volume)
    by_voxels = row(
        number, codes.VOLUME, int(region.mask.sum()) * voxel_ml, codes.CUBIC_CENTIMETER, method=codes.SUM_OF_VOXELS
    )
    reason = doubtful(region.mask, region.box, segmentation.volume.spatial_shape)
    if reason:
        named = [(codes.VOLUME_OF_MESH, codes.CUBIC_CENTIMETER)]
        return joined((Measured(measurements=(by_voxels,)), missing(number, named, codes.INDETERMINATE, reason)))
    by_mesh = row(number, codes.VOLUME_OF_MESH, mesh_volume(region.mask) * voxel_ml, codes.CUBIC_CENTIMETER)
    return Measured(measurements=(by_voxels, by_mesh))
