"""One file or folder a target; ``table`` lists them."""
