"""Model files: their metadata, their seals, and the two that are shipped."""
