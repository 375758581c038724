"""From series to an answer: bundle, volumes, quality gate, preparation, network, and back to the source grid."""
