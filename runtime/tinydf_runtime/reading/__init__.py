"""How files are opened and decoded: what ``video.py`` stands on."""
