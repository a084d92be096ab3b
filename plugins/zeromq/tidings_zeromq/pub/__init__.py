"""The zeromq-pub backend of tidings: plain PUB, without acknowledgement. Lossy."""
