"""Bundles made of other people's models, without running their code."""
