"""Pages of the reference in docs/reference, made from the code: configuration, verbs, metrics, API, errors, conformance."""
