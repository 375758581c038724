"""The same lesions at several times: registration, matching, comparability and response."""
