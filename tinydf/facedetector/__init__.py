"""The face detector: network, training pictures, training and evaluation."""
