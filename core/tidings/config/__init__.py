"""The configuration: a TOML file, overridden by environment variables.

Everything that is wrong with it is told at once, each problem with the path of its key.
"""

from tidings.config.exchange import Exchange, check_exchange_name
from tidings.config.model import Configuration
from tidings.config.problems import did_you_mean, explain, key_path
from tidings.config.reading import find_file, parse, read
from tidings.config.references import describe_unset
from tidings.config.relay import RelaySettings
from tidings.config.table import Table
from tidings.config.unset import Unset

__all__ = [
    "Configuration",
    "Exchange",
    "RelaySettings",
    "Table",
    "Unset",
    "check_exchange_name",
    "describe_unset",
    "did_you_mean",
    "explain",
    "find_file",
    "key_path",
    "parse",
    "read",
]
