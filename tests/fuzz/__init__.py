"""Hostile input, made from a seed: the same number is the same input on every machine."""
