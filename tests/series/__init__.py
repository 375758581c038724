"""Writers of test series: an array and its affine become DICOM objects of every kind that a hospital sends."""
