"""The measuring itself: a tone is found as it was made, and what is not a tone is not taken for one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from peers import audio


@pytest.mark.parametrize("frequency_hz", [250.0, 440.0, 1000.0, 3000.0])
@pytest.mark.parametrize("level_dbfs", [-3.0, -20.0])
def test_measure_finds_the_tone_that_was_written(tmp_path: Path, frequency_hz: float, level_dbfs: float) -> None:
    path = audio.write_tone(tmp_path / "tone.wav", frequency_hz, 0.5, level_dbfs=level_dbfs)
    tone = audio.measure(audio.read(path))
    assert tone.frequency_hz == pytest.approx(frequency_hz, abs=2)
    assert tone.level_dbfs == pytest.approx(level_dbfs, abs=0.3)
    assert tone.purity > 0.99
    assert tone.duration_s == pytest.approx(0.5, abs=0.01)
    assert tone.gaps_ms == ()


def test_mulaw_keeps_frequency_and_level(tmp_path: Path) -> None:
    coded = audio.write_tone_mulaw(tmp_path / "tone.ulaw", 440.0, 0.5).read_bytes()
    tone = audio.measure(audio.Recording([audio.G711_DECODERS[0][code] for code in coded], 8000))
    assert tone.frequency_hz == pytest.approx(440, abs=2)
    assert tone.level_dbfs == pytest.approx(-10, abs=0.3)


# ITU-T G.711, tables 1a and 2a: the ends of the scale and the smallest values.
@pytest.mark.parametrize(
    ("payload_type", "code", "sample"),
    [
        (0, 0x80, 32124),
        (0, 0x00, -32124),
        (0, 0xFF, 0),
        (8, 0xAA, 32256),
        (8, 0x2A, -32256),
        (8, 0xD5, 8),
        (8, 0x55, -8),
    ],
)
def test_g711_decoders_match_the_tables_of_the_standard(payload_type: int, code: int, sample: int) -> None:
    assert audio.G711_DECODERS[payload_type][code] == sample


def test_mulaw_codes_are_what_the_decoder_undoes() -> None:
    decoded = audio.G711_DECODERS[0]
    assert [decoded[audio.mulaw(sample)] for sample in decoded] == decoded


def test_gaps_longer_than_the_limit_are_reported_in_order() -> None:
    tone, silence = audio.sine(440, 0.2, -10, 8000), [0] * 800
    recording = audio.Recording([*tone, *silence, *tone, *[0] * 160, *tone], 8000)
    assert audio.measure(recording).gaps_ms == (100,)


def test_noise_is_not_a_tone() -> None:
    noise = random.Random(1)
    recording = audio.Recording([noise.randint(-8000, 8000) for _ in range(8000)], 8000)
    assert audio.measure(recording).purity < 0.3


def test_silence_has_no_frequency() -> None:
    assert audio.measure(audio.Recording([0] * 8000, 8000)).frequency_hz == 0


def test_a_wav_file_that_is_still_being_written_is_read(tmp_path: Path) -> None:
    path = audio.write_tone(tmp_path / "tone.wav", 440, 0.5)
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + bytes(4) + whole[44:-1])
    assert len(audio.read(path).samples) == 3999
