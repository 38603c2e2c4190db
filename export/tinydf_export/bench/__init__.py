"""Model files -> speed, memory and agreement of each, measured alike."""
