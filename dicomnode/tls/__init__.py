"""Secure transport: profiles, keys that can be replaced while the node runs, and connections."""
