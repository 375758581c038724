"""The description of a model, `model.toml`: what it may say, its faults, and the domain values that come of it."""
