"""Storage commitment in both roles: who is asked, what is promised, what is told."""
