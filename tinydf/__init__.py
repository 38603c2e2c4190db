"""The face forgery detector TinyDF: training core (torch)."""
