"""Scores synthetic clips; see ``tinydf.evaluation.score_clips``."""

from tinydf.evaluation.score_clips import main

if __name__ == "__main__":
    main()
