"""From the event store to the broker: one exchange, under one lease, in runs.

A *run* (:mod:`~tidings.relay.run`) begins by taking the exchange's lease and ends by giving it
back. The worker starts one run after the other; the notification service makes one and returns.

::

                               another relay has the lease,
     ┌─────────────────────┐   or it is paused   ┌───────────────┐
     │ standing by, paused │ ◀────────────────── │   starting    │ ◀───────────────────┐
     └─────────────────────┘ ──────────────────▶ └───────────────┘                     │
                               look again                │ lease taken, store checked, │
                               each second               │ exchange open:              │
                                                         ▼ leased_exchange.py          │
     ┌─────────────────────┐   nothing new       ┌───────────────┐                     │
     │     idle, held      │ ◀────────────────── │    working    │ ──┐ poison, refused │
     │ exchange_worker.py  │ ──────────────────▶ │    run.py     │ ◀─┘ after it was    │
     └─────────────────────┘   an event, or a    └───────────────┘     sent: reopen,   │
                 │             retry is asked for        │             and send on     │
                 │                                       │             without it      │
                 └───────────────────┬───────────────────┘                             │
                                     │ broker, database, lease or position fails;      │
                                     ▼ poison, and the exchange stops for it           │
                   ┌─────────────────────────────────────┐                             │
                   │ failing, stopped, mismatch, waiting │ ────────────────────────────┘
                   │             trouble.py              │   wait: backoff.py
                   └─────────────────────────────────────┘

What fails while it starts is failing, too. To shut down, or because somebody pauses the exchange, a
run ends from ``working`` or ``idle``, after a flush.

Whichever way a run ends, what the broker has accepted by then is tracked, and the lease is given
back or runs out. The states have the words of :data:`~tidings.interfaces.ExchangeState`.

**What may go wrong between two relays.** The lease is checked by our own clock before each batch,
and by the database with each move of the position. So a relay that was frozen past its lease moves
nothing any more. It may still send what it had handed over to its producer in one call
(:mod:`~tidings.relay.batch`). Only a lock of the broker's own stops that.

========================= =========================================================================
*The threads*
``worker``                starts a thread for each exchange, and ends them
``exchange_worker``       such a thread: run after run, a delay after each failure
``notification_service``  no thread: one run, then it returns
``asked``                 what people ask of it meanwhile: to pause, to send from quarantine again
``backoff``               when to try again after a failure
``trouble``               what keeps an exchange from going on: told once, and noted
``elsewhere``             whether another relay does what this one could not
``owner``                 which relay, of which process, on which machine
*A run*
``route``                 what an exchange is made of: store, tracker, producer, filter
``leased_exchange``       lease, checked event store, open exchange: everything, or nothing
``beginning``             takes the lease; asks the broker what it already has
``run``                   read, send, track, retry; in order
``batch``                 what is handed to a producer in one call
``in_flight``             what was read and is not tracked
``checkpoints``           when what is accepted of it is tracked
``tracked_position``      the one place where the position moves
``position_check``        whether that position is one of this event store
``poison``                which events a broker has refused
``retry``                 sends events in quarantine again, if somebody asks
``tally``                 how many were handed over and accepted; tells observers
``kept_lease``            renews leases, and knows when one is lost
``kept_connection``       keeps the broker's connection alive during a call to the database
*Reading*
``shared_reader``         one reader of a source for all its exchanges
``shared_answers``        what that one keeps for a moment, to give it to several exchanges
``shared_store``          that reader, as one exchange uses it
``answer``                what an event store gives to a read
``poller``                looks for new events while exchanges of a source are idle
``serialized_once``       one serialization of an event for all exchanges
``stored_notifications``  what an exchange has had, for a producer without a memory
``retention``             deletes what every exchange has had: ``tidings prune``
*Telling*
``observers``             all observers as one, each call guarded
``stages``                where a run's time goes
``pulse``                 how each exchange's thread is, for those who look from beside it
``holding``               tells of a hold that lasts
``journaled``             notes in the journal what happens to one exchange
``journal_writer``        writes the journal, from a thread of its own
``log_error``             logs an error that stops nothing
``reports``               whether events are gone, or a filter matches none: for the operator
``lag``                   how far an exchange is behind
``standings``             how far exchanges are, for all of them at once
========================= =========================================================================
"""
