"""The world coming in: the DIMSE listener and what it admits."""
