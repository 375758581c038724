"""Reads what others have drawn, as SEG or RT Structure Set, as a label map on the grid of the images."""
