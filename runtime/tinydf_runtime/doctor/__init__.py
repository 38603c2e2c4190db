"""``tinydf-doctor``: what works on this machine."""
