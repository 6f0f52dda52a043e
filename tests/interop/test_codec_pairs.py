"""What one baresip says another hears, through every ordered pair of codecs: tones by frequency and level, speech by STOI.

Ten phones of one codec each, five callers and five called ones, talk in three rounds of five calls; both parties of a call say other
words. Each recording must reach the pair's threshold, which lies between what was measured and what a wrong channel gets: one that is
swapped, silent, or of half the rate.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from peers import audio, needs, speech
from peers.baresip import Account, Baresip
from peers.fixtures import MakeNamespace, StartBaresip, StartPbx
from peers.pbx import REALM, Pbx
from peers.speech import RATE_HZ, TONE_DBFS, Judged, Samples, Voice

from trunkline.calls.session import CallSession

pytestmark = [pytest.mark.interop]

# By name: what baresip calls it, and its sampling rate.
CODECS = {
    "PCMU": ("PCMU/8000/1", 8_000),
    "PCMA": ("PCMA/8000/1", 8_000),
    "G722": ("G722/16000/1", 16_000),
    "L16": ("L16/16000/1", 16_000),
    "opus": ("opus/48000/1", 48_000),
}
NEAR = Voice("en-us", "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background.")
FAR = Voice("en-gb+f3", "A rod is used to catch pink salmon. The source of the huge river is the clear spring.")
OTHER = {NEAR: FAR, FAR: NEAR}

# STOI of a talker's speech (rows) at a listener (columns). Measured: 0.988 and more, 0.955 on a machine so busy that jitter buffers
# stretched speech. 8 kHz speech of half the rate's bandwidth gets 0.924 at most, other wrong channels less than 0.5.
LISTENERS = ("PCMU", "PCMA", "G722", "L16", "opus")
THRESHOLDS = {
    "PCMU": (0.97, 0.94, 0.94, 0.94, 0.93),
    "PCMA": (0.94, 0.97, 0.94, 0.94, 0.93),
    "G722": (0.93, 0.93, 0.97, 0.95, 0.94),
    "L16": (0.94, 0.94, 0.95, 0.98, 0.94),
    "opus": (0.93, 0.93, 0.94, 0.94, 0.96),
}
PAIRS = {
    (talker, listener): least
    for talker, row in THRESHOLDS.items()
    for listener, least in zip(LISTENERS, row, strict=True)
}
TONE_OFF_DB, SPEECH_OFF_DB = 1.0, 1.0
OTHERS_BELOW_DB = 25.0
"""How far under a tone everything else stays: G.711's own noise is at 38."""
ABSENT_DBFS = -50.0


def faults(judged: Judged, talker: str, listener: str) -> list[str]:
    """What is wrong with a recording of this pair, in words."""
    rate_hz = min(CODECS[codec][1] for codec in (talker, listener))
    found = []
    for frequency_hz, (level, others) in judged.tones_dbfs.items():
        if frequency_hz >= rate_hz / 2:
            # neither it nor what it would be mirrored to
            if max(level, others) > ABSENT_DBFS:
                found.append(f"{frequency_hz:g} Hz, which does not fit: {level:.1f} and {others:.1f} dB")
        elif abs(level - TONE_DBFS) > TONE_OFF_DB or others > level - OTHERS_BELOW_DB:
            found.append(f"{frequency_hz:g} Hz: {level:.1f} dB beside {others:.1f} dB")
    if abs(judged.speech_db) > SPEECH_OFF_DB:
        found.append(f"speech is off by {judged.speech_db:.1f} dB")
    if judged.intelligibility < PAIRS[talker, listener]:
        found.append(f"STOI is {judged.intelligibility:.3f}")
    return found


async def route(call: CallSession) -> None:
    await call.accept(to_user=call.dial_number)


@pytest.mark.timeout(120)
def test_through_every_pair_of_codecs_one_phone_hears_what_another_plays(
    pbx: StartPbx, baresip: StartBaresip, netns: MakeNamespace, tmp_path: Path
) -> None:
    server = pbx(route, codecs=list(CODECS))
    near, far = ({codec: phone(codec, voice, server, baresip, netns, tmp_path) for codec in CODECS} for voice in OTHER)
    for each in (*near.values(), *far.values()):
        each.wait_registered()
    recordings: dict[tuple[str, str, Voice], Samples] = {}
    codecs = list(CODECS)
    # three rounds bring each two codecs together once, and each call goes both ways
    for step in range(3):
        pairs = [(codec, codecs[(place + step) % len(codecs)]) for place, codec in enumerate(codecs)]
        talk([(near[one], far[other]) for one, other in pairs])
        for one, other in pairs:
            recordings[one, other, NEAR] = speech.of_recording(far[other].heard())
            recordings[other, one, FAR] = speech.of_recording(near[one].heard())
    assert {(talker, listener) for talker, listener, _ in recordings} == set(PAIRS)
    judged = {key: speech.judge(heard, key[2]) for key, heard in recordings.items()}
    (tmp_path / "figures").write_text("\n".join(f"{key[:2]} {value}" for key, value in judged.items()))
    wrong = {key[:2]: found for key, value in judged.items() if (found := faults(value, *key[:2]))}
    assert not wrong


def phone(codec: str, voice: Voice, server: Pbx, baresip: StartBaresip, netns: MakeNamespace, folder: Path) -> Baresip:
    """A phone of one codec that plays the tones and what this voice says."""
    (name, rate_hz), inside = CODECS[codec], netns()
    user = f"{'near' if voice is NEAR else 'far'}-{codec.lower()}"
    server.call(server.server.add_user, user, password="secret")
    account = Account(user, "secret", server.at(inside), domain=REALM, codecs=[name])
    return baresip(account, 0.0, inside, plays=speech.write(folder / f"{user}.wav", voice, rate_hz))


def talk(calls: list[tuple[Baresip, Baresip]]) -> None:
    """Let them all talk at once until everything is said."""
    for one, other in calls:
        one.dial(other.account.user)
    for one, other in calls:
        other.wait_incoming()
        other.answer()
        one.wait_established()
    time.sleep(max(map(speech.said_s, OTHER)) + 1.0)
    for one, other in calls:
        one.hangup()
        one.wait_closed()
        other.wait_closed()


# --- what the thresholds are worth --------------------------------------------------------------------------------------


WRONG: dict[str, Callable[[Voice], Samples]] = {
    "silent": lambda voice: np.zeros_like(speech.spoken(voice)),
    "swapped": lambda voice: speech.spoken(OTHER[voice]),
    "played at half the rate": lambda voice: np.repeat(speech.spoken(voice), 2),
    "played at twice the rate": lambda voice: speech.spoken(voice)[::2],
}


@pytest.fixture(scope="module")
def espeak() -> None:
    if why := needs.why_skipped("espeak"):
        (pytest.fail if needs.is_required() else pytest.skip)(why)


@pytest.mark.usefixtures("espeak")
@pytest.mark.parametrize("voice", OTHER, ids=["near", "far"])
@pytest.mark.parametrize("how", WRONG)
def test_speech_that_is_not_what_was_said_is_below_the_threshold_of_every_pair(how: str, voice: Voice) -> None:
    judged = speech.judge(WRONG[how](voice), voice)
    assert judged.intelligibility < min(PAIRS.values()) - 0.3


@pytest.mark.usefixtures("espeak")
@pytest.mark.parametrize(("talker", "listener"), PAIRS)
def test_a_channel_of_half_the_bandwidth_fails_in_every_pair(talker: str, listener: str, tmp_path: Path) -> None:
    rate_hz = min(CODECS[codec][1] for codec in (talker, listener))
    played = np.asarray(audio.read(speech.write(tmp_path / "played.wav", NEAR, rate_hz)).samples, dtype=np.float64)
    whole = speech.resampled(played, rate_hz, RATE_HZ)
    assert faults(speech.judge(whole, NEAR), talker, listener) == []
    half_hz = min(rate_hz, RATE_HZ) // 2
    half = speech.resampled(speech.resampled(played, rate_hz, half_hz), half_hz, RATE_HZ)
    found = faults(speech.judge(half, NEAR), talker, listener)
    assert any("Hz" in fault for fault in found)
    # STOI looks at what lies under 4.3 kHz, so that it alone tells the halves of narrow channels
    assert any("STOI" in fault for fault in found) == (rate_hz == 8_000)


@pytest.mark.usefixtures("espeak")
def test_speech_as_it_was_said_is_above_the_threshold_of_every_pair() -> None:
    assert speech.judge(speech.spoken(NEAR), NEAR).intelligibility > 0.999
