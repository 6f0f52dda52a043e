"""What is known of audio everywhere: what can be played, and the rates of calls.

What is played is read by `material`, what is recorded is written by `recording_file`.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["RATES", "Audio"]

Audio = str | Path | bytes
"""What can be played: the path of a file (WAV, MP3, FLAC, Ogg Opus), or its bytes."""

RATES = (8000, 16_000, 24_000, 32_000, 48_000)
"""Sampling rates of calls, in Hz."""
