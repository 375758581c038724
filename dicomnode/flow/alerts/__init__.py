"""Tells people by e-mail or web request what they asked to be told of, and a watch elsewhere that the node lives."""
