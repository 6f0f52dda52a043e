"""What calls as audio cost: transcoding, rooms, and the round trip of frames through Python, beside a relayed packet of the same run.

`measure` calls it. `relay/` has the program that measures the first two by itself and is the load of the third, whose server is `echo.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from processes import LOAD_CORE, SERVER_CORE, Program, running

ROOT = Path(__file__).resolve().parent.parent
AUDIO = ROOT / "target" / "release" / "audio-bench"

SET_DEPTH_MS = 20.0
"""What a jitter buffer is set to where packets come evenly: its least (`Depth::default` of `crates/media/src/jitter/settings.rs`)."""
MOST_MS = 25.0
"""What the round trip may take beyond that, of 99 % of the bursts, on an idle machine."""

Row = tuple[str, str, str, str]
Say = Callable[[str], None]


def audio_command(parties: int, seconds: int) -> list[str]:
    """Transcoding, mixing and rooms."""
    return [str(AUDIO), str(parties), str(seconds)]


def audio_rows(parties: int, seconds: int, say: Say) -> list[Row]:
    """CPU of transcoding and of rooms, each beside a relayed packet."""
    say(f"\nTranscoding and rooms, {parties} parties, {seconds} s a turn")
    found = _output(audio_command(parties, seconds), "audio: done", say)
    relayed = float(re.findall(r"relayed: ([\d.]+)", found)[0])
    rows = []
    for source, target, micros, streams in re.findall(r"transcode: (\S+) (\S+) ([\d.]+) us (\d+) streams", found):
        label = f"transcoding {source} to {target}, µs a packet"
        rows.append((label, micros, f"{streams} streams a core", f"{float(micros) / relayed:.2f}"))
    for size, micros, wide in re.findall(r"mix: (\d+) ([\d.]+) us ([\d.]+) us", found):
        rows.append(
            (f"mixing, room of {size}, µs a party", micros, f"{wide} at 48 kHz", f"{float(micros) / relayed:.2f}")
        )
    for size, micros, ratio, late in re.findall(r"room: (\d+) ([\d.]+) us ([\d.]+) late (\d+ of \d+)", found):
        rows.append((f"a party's 20 ms in a room of {size}, µs", micros, f"{late} ticks late", ratio))
    return [*rows, ("a relayed packet, µs", f"{relayed:.2f}", "", "1.00")]


def _output(command: list[str], last: str, say: Say) -> str:
    """What it prints up to a line, its worker on the server's core."""
    lines: list[str] = []
    with running(command, LOAD_CORE, stderr=None) as program:
        while not lines or lines[-1] != last:
            program.pin_threads(("media-0",), SERVER_CORE)
            for line in program.waiting_lines():
                lines.append(line)
                say(f"    {line}")
    return "\n".join(lines)


def echo_command(python: str, legs: int) -> list[str]:
    """The server of the round trip."""
    return [python, str(ROOT / "bench" / "echo.py"), str(legs)]


def frame_rows(python: str, legs: tuple[int, ...], seconds: int, say: Say) -> list[Row]:
    """Time from RTP in through Python to RTP out, and underruns, with so many legs on one core."""
    rows = []
    for count in legs:
        say(f"\nThe round trip of frames through Python, {count} legs, {seconds} s")
        with running(echo_command(python, count), SERVER_CORE, stderr=None) as server:
            ports = server.lines(1)[0].split()
            counted, found = _echoed(server, ports, seconds)
        say(f"    {found}")
        say(f"    {counted}")
        rows += echo_rows(count, count * seconds * 50, found, counted)
    return rows


def echo_rows(count: int, frames: int, found: str, counted: str) -> list[Row]:
    """What phones and server said of the round trip, as rows: time in all, time without the buffer's set depth, underruns."""
    p50, p99 = (float(ms) for ms in re.findall(r"p\d\d ([\d.]+) ms", found))
    underruns, lost = re.findall(r"underruns (\d+) lost (\d+)", counted)[0]
    buffer_ms = re.findall(r"buffer ([\d.]+) ms", counted)[0]
    less = p99 - SET_DEPTH_MS
    return [
        (f"RTP in, Python, RTP out, {count} legs, ms p50", f"{p50:.1f}", f"{p99:.1f} p99", ""),
        (
            f"p99 less the buffer's set {SET_DEPTH_MS:.0f} ms, {count} legs",
            f"{less:.1f}",
            f"{buffer_ms} ms held",
            f"{less / MOST_MS:.2f}",
        ),
        (
            f"underruns, {count} legs on one core",
            underruns,
            f"{lost} lost of {frames}",
            f"{int(underruns) / frames:.5f}",
        ),
    ]


def _echoed(server: Program, ports: list[str], seconds: int) -> tuple[str, str]:
    """What the server counted, and what the phones heard."""
    server_in = server.process.stdin
    assert server_in is not None
    server_in.write("start\n")
    server_in.flush()
    with running([str(AUDIO), "echo", str(seconds), *ports], LOAD_CORE, stderr=None) as load:
        found = load.lines(1)[0].strip()
    server_in.close()
    return server.lines(1)[0].strip(), found
