"""The dashboard: pages for people, drawn here and read without a script."""
