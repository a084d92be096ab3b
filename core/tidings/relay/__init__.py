"""From the event store to the broker."""
