"""Other libraries that carry events from a database to a broker, beside the relay."""
