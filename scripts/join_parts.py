"""Joins the branches of two checkpoints; see ``tinydf.join``."""

from tinydf.join import main

if __name__ == "__main__":
    main()
