"""From files to volumes in patient space: classic and multi-frame images, stacks, tilt, units."""
