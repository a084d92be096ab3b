"""Writes the pages that the code itself knows best: `python -m scripts.reference`."""
