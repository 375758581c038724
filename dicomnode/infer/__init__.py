"""From a series to a segmentation: bundle, volume, preparation, tiles, network, and back to the source grid."""
