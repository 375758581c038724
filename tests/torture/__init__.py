"""Kills, cut connections, full and failing disks and an archive that goes away, and what is true afterwards."""
