"""What scores are worth: what ``aggregate.py`` stands on."""
