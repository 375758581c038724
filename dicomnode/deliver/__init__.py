"""Hands results to peers."""
