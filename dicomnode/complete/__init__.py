"""Decides when a study has arrived."""
