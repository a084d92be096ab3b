"""The zeromq backend of tidings."""
