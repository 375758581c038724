"""Keeps room on the disk, and nothing that is owed goes."""
