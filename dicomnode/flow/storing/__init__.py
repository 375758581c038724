"""The verbs of the store: list, purge, verify, back up."""
