"""The configuration: a TOML file, overridden by environment variables.

Everything that is wrong with it is told at once, each fault with the path of its key.
"""

from tidings.config.faults import did_you_mean, explain, key_path
from tidings.config.model import Configuration, Exchange, Relay, Table, check_exchange_name
from tidings.config.reading import find_file, parse, read

__all__ = [
    "Configuration",
    "Exchange",
    "Relay",
    "Table",
    "check_exchange_name",
    "did_you_mean",
    "explain",
    "find_file",
    "key_path",
    "parse",
    "read",
]
