"""The nouns of the standard and of this node; imports nothing else of ours and does no I/O."""
