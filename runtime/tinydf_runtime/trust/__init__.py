"""Model files before use: read within bounds, checked for form, and trusted explicitly if they are code."""
