"""The report of an evaluation as one page of HTML that needs no other file."""
