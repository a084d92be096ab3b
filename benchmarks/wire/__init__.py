"""The relay beside bare clients of the same broker, and beside each library's usual way."""
