"""Commands: arguments -> calls into the other folders; errors as one line with an exit code."""
