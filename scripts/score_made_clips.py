"""The former name of ``tinydf-score-clips``."""

from tinydf.cli.score_clips import main

if __name__ == "__main__":
    main()
