"""From what a network says to a label map: the steps after inference that a bundle declares."""
