"""The former name of ``tinydf-fpr-table``."""

from tinydf.cli.fpr_table import main

if __name__ == "__main__":
    main()
