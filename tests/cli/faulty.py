"""The command line, with a fault in the threads of the exchanges that `DYING` names."""

from __future__ import annotations

import os

from tidings.cli.main import main
from tidings.relay.exchange_worker import ExchangeWorker

dying = os.environ["DYING"].split()
whole = ExchangeWorker.run


def run_or_die(exchange: ExchangeWorker) -> None:
    if exchange.name in dying:
        raise KeyError("a fault of ours")
    whole(exchange)


ExchangeWorker.run = run_or_die  # type: ignore[assignment, method-assign]  # what this program is for
main()
