"""Forgery types, a file each: a real photo in, a forged one with its mask out.

``table.py`` lists them. How a network generalises shows on types that it never trained on: see ``--without``.
"""
