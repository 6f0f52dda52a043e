"""The server that is measured: a trunk line to the SIPp that calls, another to the SIPp that answers, and a handler that connects them.

`python bench/server.py PORT CALLER_PORT CALLEE_PORT`; prints `ready`, ends with its input. Logging is as a program that sets up none has
it, since the proxy beside it logs nothing either.
"""

from __future__ import annotations

import asyncio
import sys

from trunkline import CallSession, SipServer


async def main(port: int, caller_port: int, callee_port: int) -> None:
    """Serve until the input ends."""
    server = SipServer(realm="bench.example", listen=[f"udp://127.0.0.1:{port}"])
    server.add_line("caller", username="15550100", server=f"127.0.0.1:{caller_port}", register=False)
    server.add_line("callee", username="15551234", server=f"127.0.0.1:{callee_port}", register=False)

    @server.on_incoming_call
    async def route(call: CallSession) -> None:
        await call.accept(to_line="callee")

    async with server:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
