"""The running kernel and the model side by side, on the same script."""
