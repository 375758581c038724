"""The dashboard and the REST interface of a node: reads the store, and asks for what the verbs ask for."""
