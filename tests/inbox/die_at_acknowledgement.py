"""Runs an example that is killed in the moment between its commit and its acknowledgement.

Arguments: the example's file and its own arguments.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from typing import Any

import pika.adapters.blocking_connection
import stomp

from tidings_zeromq import Subscriber


def die(*_arguments: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


pika.adapters.blocking_connection.BlockingChannel.basic_ack = die
stomp.Connection12.ack = die
Subscriber.acknowledge = die  # type: ignore[assignment, method-assign]  # what this program is for
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
