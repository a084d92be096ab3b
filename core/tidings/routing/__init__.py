"""Where an exchange's messages go, and what of an event they carry outside of the body.

What a configuration says of it is read and checked in :mod:`~tidings.routing.template`;
:class:`~tidings.routing.addressing.Addressing` does it, for each event that is sent.
"""
