"""Tests of phantoms and training."""
