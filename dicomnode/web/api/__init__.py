"""The REST interface, below /api: what the verbs and the dashboard do, for programs."""
