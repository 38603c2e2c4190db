"""Inputs: what was given to be judged, opened and decoded into upright frames with true time stamps."""
