"""Exported model -> whether it scores as its checkpoint does."""
