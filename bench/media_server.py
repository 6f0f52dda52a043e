"""The media engine as it relays: two legs a call, linked. Beside it stands `bench/relay`, which takes the same arguments and prints the same lines.

`python bench/media_server.py CALLS FIRST_PORT`; prints the two ports of each call, ends with its input.
"""

from __future__ import annotations

import sys

from _trunkline import Codec, MediaEngine

HOST = "127.0.0.1"
PCMU = Codec("PCMU", 8000, payload_type=0)


def open_leg(engine: MediaEngine, remote_port: int, beside: int = 0) -> tuple[int, int]:
    """A leg that hears and serves the party on that port; its number and its own port."""
    leg, port = engine.open_leg(HOST, beside=beside)
    engine.configure(
        leg,
        remote_rtp=(HOST, remote_port),
        remote_rtcp=(HOST, remote_port + 1),
        sends=True,
        receives=True,
        receive_codecs=[PCMU],
        send_codecs=[PCMU],
        silence_timeout_s=60.0,
    )
    return leg, port


def main(calls: int, first_port: int) -> None:
    """Relay until the input ends."""
    engine = MediaEngine(port_range=(16_384, 32_767))
    for call in range(calls):
        zero, port_zero = open_leg(engine, first_port + 4 * call)
        one, port_one = open_leg(engine, first_port + 4 * call + 2, beside=zero)
        engine.link(zero, one)
        print(port_zero, port_one)
    sys.stdout.flush()
    sys.stdin.read()
    engine.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
