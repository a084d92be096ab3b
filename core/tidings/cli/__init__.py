"""The ``tidings`` command: a module for each command, and what they share."""
