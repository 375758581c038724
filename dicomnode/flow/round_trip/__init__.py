"""A made study sent through the running node, found again at its destination, and removed from this side."""
