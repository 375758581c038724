"""Rules and models are tried in the shadow of those that count: nothing of what they say goes to a reader."""
