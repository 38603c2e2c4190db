"""Model files: what they say about themselves, how they are sealed, and the two that are shipped."""
