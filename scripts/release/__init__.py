"""Makes all that a release consists of, and publishes nothing: `python -m scripts.release`."""
