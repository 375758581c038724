"""Judges whether a series is what a model was made for, and whether a result can be believed."""
