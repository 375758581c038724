"""A new configuration is taken while the node runs: judged, told of, and handed to new processes."""
