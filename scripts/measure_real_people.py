"""Measures real people in scored clips; see ``tinydf.evaluation.real_people``."""

from tinydf.evaluation.real_people import main

if __name__ == "__main__":
    main()
