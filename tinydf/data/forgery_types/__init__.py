"""Forgery types, a file each: a real photo in, a forged one with its mask out.

``table.py`` lists them. A network is as good as it is on types that it never trained on: see ``--without``.
"""
