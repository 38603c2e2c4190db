"""What a model file must be before it is used: read in bounds, well formed, and trusted where it is code."""
