"""How one face is told from another: what ``track.py`` stands on."""
