"""Findings drawn into pictures: what ``annotate.py`` stands on."""
