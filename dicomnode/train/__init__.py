"""Phantoms, networks and the training of our own models; the only package that may import PyTorch."""
