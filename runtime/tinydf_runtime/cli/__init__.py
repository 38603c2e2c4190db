"""The commands ``tinydf-run`` and ``tinydf-doctor``, and what every ``tinydf-`` command shares."""
