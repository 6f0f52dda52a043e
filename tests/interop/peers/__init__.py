"""Drivers for real SIP programs, used by the interop tests and by nothing else.

One module per program (baresip, linphone, sipp, kamailio) and those that they stand on: `process` starts and stops a
program, `namespace` gives it a network of its own, `audio` makes what it plays and judges what it recorded, `capture`
hears for those that do not record, `needs` knows what is missing, `fixtures` has the types of conftest.py's fixtures.
Every driver is synchronous and bounded in time; from a coroutine call it through `asyncio.to_thread`.
"""
