"""From the source grid to what a network expects, step by step, and the exact way back."""
