"""Families of forgeries, a file each: a real photo in, a forged one with its mask out.

``table.py`` lists them. What a network says of a family that it never trained on is what counts: see ``--without``.
"""
