"""The round trip through Python that is measured: legs whose audio is read frame by frame and written back, by tasks of one loop.

`python bench/echo.py LEGS`; prints the legs' ports, counts from `start` on, and prints at the end of its input what it
counted, and how deep the jitter buffers are.
The audio path is that of `call.audio()`, without the signalling.
"""

from __future__ import annotations

import asyncio
import sys

from _trunkline import Codec
from trunkline.media.engine import Leg, MediaEngine, NativeMediaEngine
from trunkline.media.stream import AudioStream

HERE = "127.0.0.1"
PCMU = Codec("PCMU", 8000, payload_type=0)


async def echo(engine: MediaEngine, leg: Leg, streams: list[AudioStream]) -> None:
    """Say again what is heard."""
    async with AudioStream(engine, leg, sample_rate=8000, ahead_frames=50) as stream:
        streams.append(stream)
        async for frame in stream:
            await stream.write(frame)


def counted(engine: MediaEngine, streams: list[AudioStream]) -> tuple[int, int, int]:
    """Underruns, frames that were lost, ticks that were late."""
    return (
        sum(stream.underruns for stream in streams),
        sum(stream.lost_frames for stream in streams),
        engine.driver.counters()["late_ticks"],
    )


def buffered_ms(legs: list[Leg]) -> float:
    """How long the jitter buffers hold packets, on average."""
    depths = [found.buffer_ms for leg in legs if (found := leg.statistics) is not None and found.buffer_ms]
    return sum(depths) / max(len(depths), 1)


async def main(count: int) -> None:
    """Echo until the input ends."""
    engine = MediaEngine(NativeMediaEngine(workers=1, port_range=(20_000, 29_999)))
    engine.attach()
    legs = [engine.open_leg(HERE) for _ in range(count)]
    for leg in legs:
        engine.driver.configure(
            leg.number,
            remote_rtp=(HERE, 9),
            remote_rtcp=None,
            sends=True,
            receives=True,
            receive_codecs=[PCMU],
            send_codecs=[PCMU],
            learn_from=HERE,
        )
    streams: list[AudioStream] = []
    tasks = [asyncio.create_task(echo(engine, leg, streams)) for leg in legs]
    print(*(leg.port for leg in legs), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    before = counted(engine, streams)
    await asyncio.to_thread(sys.stdin.read)
    underruns, lost, late = (now - then for now, then in zip(counted(engine, streams), before, strict=True))
    print(f"underruns {underruns} lost {lost} late_ticks {late} buffer {buffered_ms(legs):.1f} ms", flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    engine.detach()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
