"""Files of strangers are decoded in a process of their own: a crash, a hang or growth costs one input."""
