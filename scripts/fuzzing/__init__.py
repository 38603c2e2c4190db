"""Damaged media and hostile model files, and what the commands make of them; see ``scripts/fuzz.py``."""
