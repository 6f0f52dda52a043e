"""The benchmark: what a call and a packet cost trunkline, beside a proxy and a relay that do the least that can be done.

`make bench` builds a release extension beside the one in use and calls this. Absolute figures depend on the machine and drift;
each pair is measured in one run, in turns, so that its ratio holds. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import audio
import signalling
from processes import LOAD_CORE, SERVER_CORE, running
from signalling import KAMAILIO, Cost, Rival

ROOT = Path(__file__).resolve().parent.parent
RELAY = ROOT / "target" / "release" / "relay-bench"

PARTS = ("cost", "rate", "media", "audio", "frames")

DESCRIBE = """
import platform, sys, sysconfig
options = sysconfig.get_config_var("CONFIG_ARGS") or ""
configured = "with" if "--enable-optimizations" in options else "without"
print(f"{sys.executable}: Python {platform.python_version()}, configured {configured} --enable-optimizations")
"""
"""What an interpreter says of itself. Debian optimises its own in another way, of which this shows nothing."""


def main() -> None:
    """Measure what is asked for and print it."""
    options = _options()
    say = print_line
    say(f"load of the machine before: {os.getloadavg()[0]:.2f}; cores: {os.cpu_count()}")
    say(described(options.python))
    table: list[tuple[str, str, str, str]] = []
    parts: dict[str, Callable[[argparse.Namespace], list[tuple[str, str, str, str]]]] = {
        "cost": cost_rows,
        "rate": rate_rows,
        "media": media_rows,
        "audio": lambda given: audio.audio_rows(given.streams, given.seconds // 2, say),
        "frames": lambda given: audio.frame_rows(given.python, (1, 300), given.seconds, say),
    }
    for name, part in parts.items():
        if name in options.only:
            table += part(options)
    say("")
    for row in (("", "trunkline", "beside", "ratio"), *table):
        say(f"{row[0]:<52}{row[1]:>12}{row[2]:>22}{row[3]:>9}")
    say("")
    say("the commands:")
    for command in commands(options):
        say("  " + command)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rate", type=int, default=100, help="calls a second while a call's cost is measured")
    parser.add_argument("--seconds", type=int, default=20, help="how long each measurement lasts")
    parser.add_argument("--hold-ms", type=int, default=500, help="how long a call lasts")
    parser.add_argument("--turns", type=int, default=2, help="how often each of a pair is measured")
    parser.add_argument("--streams", type=int, default=200, help="RTP streams, two a call, of 50 packets a second")
    parser.add_argument(
        "--python", default=sys.executable, help="the interpreter that runs the server; default: this one"
    )
    return parser.parse_args()


def described(python: str) -> str:
    """Which interpreter runs the server, and how it was built. It needs the packages of this one's environment."""
    done = subprocess.run([python, "-c", DESCRIBE], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def print_line(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def cost_rows(options: argparse.Namespace) -> list[tuple[str, str, str, str]]:
    """CPU per signalled call."""
    print_line(f"\nCPU a call at {options.rate}/s for {options.seconds} s, {options.turns} turns")
    rivals = (signalling.trunkline(options.python), KAMAILIO)
    costs: dict[str, list[Cost]] = {rival.name: [] for rival in rivals}
    for _ in range(options.turns):
        for rival in rivals:
            costs[rival.name].append(_measure_cost(rival, options))
    ours, theirs = (_mean_ms(costs[rival.name]) for rival in rivals)
    label = "CPU a call, ms (trunkline with two RTP legs)"
    return [(label, f"{ours:.2f}", f"{theirs:.2f} Kamailio", f"{ours / theirs:.2f}")]


def _measure_cost(rival: Rival, options: argparse.Namespace) -> Cost:
    warm_up = options.rate * 3
    cost = signalling.measure_cost(
        rival, rate=options.rate, seconds=options.seconds, warm_up=warm_up, hold_ms=options.hold_ms
    )
    threads = ", ".join(
        f"{name} {spent / cost.calls * 1000:.2f}"
        for name, spent in sorted(cost.threads_s.items(), key=lambda item: -item[1])
        if spent > 0.005
    )
    print_line(
        f"    {rival.name}: {cost.ms:.2f} ms a call, {cost.outcome.success:.2%} succeeded, "
        f"{cost.outcome.retransmitted} retransmissions; main process by thread: {threads}"
    )
    return cost


def _mean_ms(costs: list[Cost]) -> float:
    return sum(cost.cpu_s for cost in costs) / sum(cost.calls for cost in costs) * 1000


def rate_rows(options: argparse.Namespace) -> list[tuple[str, str, str, str]]:
    """Calls a second."""
    print_line(f"\nCalls a second of which {signalling.SUCCESS:.1%} succeed, runs of 8 s")
    theirs, ours = (
        signalling.find_rate(rival, start=200, seconds=8, hold_ms=options.hold_ms, say=print_line)
        for rival in (KAMAILIO, signalling.trunkline(options.python))
    )
    return [
        (
            f"calls a second, {signalling.SUCCESS:.1%} succeed",
            f"{ours}",
            f"{theirs} Kamailio",
            f"{ours / max(theirs, 1):.2f}",
        )
    ]


def media_rows(options: argparse.Namespace) -> list[tuple[str, str, str, str]]:
    """CPU per relayed packet: `bench/relay` measures both by itself."""
    print_line(f"\nCPU a relayed packet, {options.streams} streams of 50 packets a second, {options.turns} turns")
    with running(relay_command(options), LOAD_CORE, stderr=None) as relay:
        assert relay.process.stdout is not None
        last = ""
        while not last.startswith("relay:"):
            # the relaying threads go to the server's core as soon as they are seen
            relay.pin_threads(("media-0", "bare-0"), SERVER_CORE)
            for line in relay.waiting_lines():
                last = line
                print_line(f"    {line}")
    ours, theirs, ratio = re.findall(r"\d+\.\d+", last)
    return [("CPU a relayed RTP packet, µs", ours, f"{theirs} bare relay", ratio)]


def relay_command(options: argparse.Namespace) -> list[str]:
    """The media engine and the bare relay, in turns, in one process."""
    return [str(RELAY), str(options.streams // 2), str(options.seconds // 2), str(options.turns)]


def commands(options: argparse.Namespace) -> list[str]:
    """What was run, with the cores."""
    calls = options.rate * options.seconds
    shown = [
        (0, signalling.trunkline(options.python).command),
        (0, KAMAILIO.command),
        (1, signalling.callee_command()),
        (1, signalling.caller_command(options.rate, calls, options.hold_ms, Path("caller.csv"))),
        (1, relay_command(options)),
        (1, audio.audio_command(options.streams, options.seconds // 2)),
        (0, audio.echo_command(options.python, 300)),
    ]
    return [f"taskset -c {core} {shlex.join(command).replace(f'{ROOT}/', '')}" for core, command in shown]


if __name__ == "__main__":
    main()
