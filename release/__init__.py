"""What is made of the code for a release: packages, lists of parts, and the pages of the reference."""
