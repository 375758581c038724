"""Holds what an archive has against what this node has made of it."""
