"""Decides which rules apply to which series, and says why."""
