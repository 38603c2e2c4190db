"""Commands: what is typed -> what the other rooms do, and one line where they cannot."""
