"""A DICOM AI node that stands beside the PACS."""

__version__ = "0.1.0"
