"""Container headers, parsed for what OpenCV does not tell: durations, orientation, colour, sound, truncation."""
