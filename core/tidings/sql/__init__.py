"""Event store, tracker, recording and outbox on SQLAlchemy."""
