"""What is measured of a running node, for whoever watches it."""
