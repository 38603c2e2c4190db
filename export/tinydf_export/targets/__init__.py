"""One file or folder per target; ``table`` lists them."""
