"""Finds and fetches earlier studies at peers: C-FIND, C-MOVE, C-GET."""
