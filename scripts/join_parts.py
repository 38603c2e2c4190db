"""The former name of ``tinydf-join``."""

from tinydf.cli.join import main

if __name__ == "__main__":
    main()
