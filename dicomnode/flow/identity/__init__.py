"""Asks the archive whose study it is before what has waited is sent."""
