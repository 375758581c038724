"""What pages show of a study beyond its rows: a picture of what was drawn, the numbers of its reports, and times."""
