"""Photos of real faces -> training samples."""
