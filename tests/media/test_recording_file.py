"""Recordings as files: read back by Python, by sox and by opusdec; playable after every write, and after one that failed."""

from __future__ import annotations

import math
import os
import resource
import subprocess
import wave
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from peers import needs

from trunkline.errors import AudioError
from trunkline.media import recording_file
from trunkline.media.recording_file import Encoding, RecordingFile, encoding_of

RATE = 8000
PIECE = RATE // 5


def tone(frequency_hz: float, samples: int, *, rate: int = RATE, peak: int = 8000) -> array[int]:
    return array("h", (round(peak * math.sin(math.tau * frequency_hz * n / rate)) for n in range(samples)))


def level(samples: array[int], frequency_hz: float, rate: int) -> float:
    re = sum(sample * math.cos(math.tau * frequency_hz * n / rate) for n, sample in enumerate(samples))
    im = sum(sample * math.sin(math.tau * frequency_hz * n / rate) for n, sample in enumerate(samples))
    return 2 * math.hypot(re, im) / len(samples)


def read(path: Path) -> tuple[int, int, array[int]]:
    """Rate, channels and samples of a WAV of PCM."""
    with wave.open(str(path)) as file:
        return file.getframerate(), file.getnchannels(), array("h", file.readframes(file.getnframes()))


def decoded(path: Path, suite: str) -> tuple[int, int, array[int]]:
    """The same of any file, by another program; what it complains of fails the test."""
    if why := needs.why_skipped(suite):
        assert not needs.is_required(), why
        pytest.skip(why)
    out = path.with_suffix(".decoded.wav")
    command = {
        "sox": ["sox", str(path), "-e", "signed-integer", "-b", "16", str(out)],
        "opusdec": ["opusdec", "--quiet", "--no-dither", str(path), str(out)],
    }[suite]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    return read(out)


def write(file: RecordingFile, samples: int, *, rate: int = RATE) -> None:
    left, right = tone(500, samples, rate=rate), tone(1200, samples, rate=rate, peak=4000)
    for start in range(0, samples, rate // 5):
        file.write(left[start : start + rate // 5], right[start : start + rate // 5])


def check(samples: array[int], channels: int, rate: int) -> None:
    """Both parties are there, on their sides."""
    sides = [samples[n::channels][rate // 2 : rate * 3 // 2] for n in range(channels)]
    assert abs(level(sides[0], 500, rate) / 8000 - 1) < 0.1
    assert abs(level(sides[-1], 1200, rate) / 4000 - 1) < 0.1
    if channels == 2:
        assert level(sides[0], 1200, rate) < 400
        assert level(sides[1], 500, rate) < 400


SUITES: dict[Encoding, str] = {"pcm": "sox", "ulaw": "sox", "alaw": "sox", "opus": "opusdec"}


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("encoding", SUITES)
def test_other_programs_hear_both_parties(tmp_path: Path, encoding: Encoding, channels: int) -> None:
    path = tmp_path / ("call.opus" if encoding == "opus" else "call.wav")
    file = RecordingFile(path, encoding, RATE, channels)
    write(file, 2 * RATE)
    file.close()
    rate, found, samples = decoded(path, SUITES[encoding])
    assert found == channels
    assert len(samples) == 2 * rate * channels
    check(samples, channels, rate)


@pytest.mark.parametrize("encoding", SUITES)
def test_it_can_be_played_while_it_is_written(tmp_path: Path, encoding: Encoding) -> None:
    path = tmp_path / ("call.opus" if encoding == "opus" else "call.wav")
    file = RecordingFile(path, encoding, RATE, 2)
    write(file, 2 * RATE)
    # as a process that is killed now leaves it
    copy = path.with_stem("copy")
    copy.write_bytes(path.read_bytes())
    file.close()
    rate, channels, samples = decoded(copy, SUITES[encoding])
    # of Opus the encoder holds back a few milliseconds
    assert 2 * rate - rate // 50 < len(samples) // channels <= 2 * rate
    check(samples, channels, rate)


def test_python_reads_what_was_written_up_to_now(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    file = RecordingFile(path, "pcm", 16_000, 1)
    assert read(path) == (16_000, 1, array("h"))
    for n in range(1, 4):
        file.write(array("h", [100] * 320), array("h", [-20] * 320))
        assert read(path) == (16_000, 1, array("h", [80] * 320 * n))
    file.close()
    assert read(path) == (16_000, 1, array("h", [80] * 960))


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file may grow beyond this: a full disk for this process (SIGXFSZ is ignored by Python)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("encoding", ["pcm", "opus"])
def test_a_write_that_fails_leaves_whole_what_was_written_before(tmp_path: Path, encoding: Encoding) -> None:
    path = tmp_path / ("call.opus" if encoding == "opus" else "call.wav")
    file = RecordingFile(path, encoding, RATE, 1)
    file.write(tone(500, PIECE), tone(1200, PIECE))
    size = path.stat().st_size
    with files_up_to(size + 100), pytest.raises(AudioError, match=rf"{path.name} cannot be written: File too large"):
        file.write(tone(500, PIECE), tone(1200, PIECE))
    file.abandon()
    assert path.stat().st_size == size
    if encoding == "pcm":
        assert len(read(path)[2]) == PIECE
    else:
        decoded(path, "opusdec")


def test_a_path_that_cannot_be_written_says_which_and_why(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    for path, why in (
        (tmp_path / "none" / "x.wav", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (pipe, "No such device or address"),
        (Path("/dev/full"), "No space left on device"),
    ):
        with pytest.raises(AudioError, match=f"{path} cannot be written: {why}"):
            RecordingFile(path, "pcm", RATE, 1)


def test_a_wav_that_is_as_long_as_its_header_can_say_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_file, "MOST_BYTES", 5000)
    file = RecordingFile(tmp_path / "call.wav", "pcm", RATE, 1)
    file.write(tone(500, PIECE), tone(1200, PIECE))
    with pytest.raises(AudioError, match="as long as a WAV file can be"):
        file.write(tone(500, PIECE), tone(1200, PIECE))
    file.close()
    assert len(read(tmp_path / "call.wav")[2]) == PIECE


@pytest.mark.parametrize(
    ("name", "given", "rate", "expected"),
    [
        ("a.wav", None, 8000, "pcm"),
        ("a.WAV", "ulaw", 8000, "ulaw"),
        ("a.opus", None, 48_000, "opus"),
        ("a.ogg", None, 16_000, "opus"),
        ("a", "alaw", 8000, "alaw"),
    ],
)
def test_the_end_of_the_name_says_the_encoding_unless_it_is_given(
    name: str, given: Encoding | None, rate: int, expected: Encoding
) -> None:
    assert encoding_of(Path(name), given, rate) == expected


@pytest.mark.parametrize(
    ("name", "given", "rate", "why"),
    [
        ("a.mp3", None, 8000, "path: a.mp3 ends with none of .wav, .opus, .ogg"),
        ("a.wav", "flac", 8000, "encoding: one of pcm, ulaw, alaw, opus, not flac"),
        ("a.wav", None, 44_100, "sample_rate: pcm takes 8000, 16000, 24000, 32000, 48000, not 44100"),
        ("a.opus", None, 32_000, "sample_rate: opus takes 8000, 16000, 24000, 48000, not 32000"),
    ],
)
def test_what_no_file_can_be_is_refused(name: str, given: Any, rate: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        encoding_of(Path(name), given, rate)
