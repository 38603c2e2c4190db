"""The commands of the training core."""
