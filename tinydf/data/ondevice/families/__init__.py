"""The families of forgeries of ``tinydf/data/families``, a batch at a time: the same names, kinds and strengths."""
