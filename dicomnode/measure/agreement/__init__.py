"""How well two masks of the same thing agree, and how sure one can be of the figures."""
