"""Findings as DICOM objects that a destination can show."""
