"""A model against references that people drew: `dicomnode models evaluate`."""
