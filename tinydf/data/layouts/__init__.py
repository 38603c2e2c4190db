"""Layouts of published data sets, a file each: folder in, clips with label, method, split and identities out.

``table.py`` lists them; ``--layout`` takes its names.
"""
