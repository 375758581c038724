"""The four loops that carry a study from C-STORE to delivered results; read these to know the node."""
