"""Holds a study against earlier ones of the same patient, in a run of its own."""
