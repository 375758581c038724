"""What is installed, and what this site has decided about it."""
