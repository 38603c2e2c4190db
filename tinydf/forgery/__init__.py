"""The TinyDF classifier network."""
