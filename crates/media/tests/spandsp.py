"""The oracle of `oracle.rs`: codes raw audio of standard input by Debian's libspandsp2 and writes it to standard output.

Usage: spandsp.py encode|decode g722|pcmu|pcma. PCM is 16-bit, little-endian. Exits with 77 where there is no libspandsp.
"""

from __future__ import annotations

import ctypes
import sys

NO_LIBRARY = 77
G711 = {"pcma": 0, "pcmu": 1}
G722_BITS_PER_S = 64_000


def main(direction: str, codec: str) -> int:
    """Code everything in one go."""
    try:
        library = ctypes.CDLL("libspandsp.so.2")
    except OSError:
        return NO_LIBRARY
    data = sys.stdin.buffer.read()
    if codec == "g722":
        start, code, options = library[f"g722_{direction}_init"], library[f"g722_{direction}"], (G722_BITS_PER_S, 0)
    else:
        start, code, options = library.g711_init, library[f"g711_{direction}"], (G711[codec],)
    start.argtypes = [ctypes.c_void_p, *[ctypes.c_int] * len(options)]
    start.restype = ctypes.c_void_p
    code.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    out = ctypes.create_string_buffer(4 * len(data) + 4)
    units = len(data) // 2 if direction == "encode" else len(data)
    count = code(start(None, *options), out, data, units)
    sys.stdout.buffer.write(out.raw[: count if direction == "encode" else 2 * count])
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
