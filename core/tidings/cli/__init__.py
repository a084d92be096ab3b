"""The ``tidings`` command: a module for each group of commands."""
