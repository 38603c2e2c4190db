"""How the published sets lie on disk, a file each: a folder in, its clips with label, method, split and identities out.

``table.py`` lists them; ``--layout`` takes its names.
"""
