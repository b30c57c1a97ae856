# SPDX-License-Identifier: BSD-3-Clause
"""Melodies as audio files, and what a recording of one contains: proof that audio arrived, and that it is this audio.

A melody is a random sequence of pure tones. Each side of a call has its own scale, so that an echo or a mixed-up direction
is as wrong as silence; each call has its own sequence, so that an old recording is wrong too."""

import math
import random
import struct
import wave

RATE = 8000
NOTE_SECONDS = 0.25
FRAME = 400  # samples heard at a time, 50 ms; every note below has whole periods in it
SCALES = {
    "phone": (400, 480, 580, 700, 840, 1000),
    "pbx": (1300, 1500, 1740, 2020, 2340, 2700),
}
ALL_NOTES = SCALES["phone"] + SCALES["pbx"]
PURITY = 0.6  # of a frame's power, the share of its note; G.711's noise leaves more than 0.95


def compose(side, seconds):
    """A new melody: notes in Hz, no two neighbours alike."""
    notes = []
    while len(notes) * NOTE_SECONDS < seconds:
        note = random.choice(SCALES[side])
        if not notes or notes[-1] != note:
            notes.append(note)
    return notes


def write(path, notes):
    """The melody as a WAV file: 8 kHz, mono, 16 bits."""
    per_note = int(RATE * NOTE_SECONDS)
    samples = (8000 * math.sin(2 * math.pi * note * i / RATE) for note in notes for i in range(per_note))
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(b"".join(struct.pack("<h", int(s)) for s in samples))


def read(path):
    """Samples of a 16-bit mono WAV file. A recorder that was killed leaves lengths of 0 in the header: the rest is data."""
    data = open(path, "rb").read()
    start = data.index(b"data") + 8
    count = (len(data) - start) // 2
    return struct.unpack(f"<{count}h", data[start : start + 2 * count])


def frame_note(samples):
    """The note in one frame: Hz, or None for silence, noise, speech or two notes at once."""
    power = sum(s * s for s in samples)
    if power < 1e4 * len(samples):
        return None
    for note in ALL_NOTES:  # Goertzel's algorithm
        k = 2 * math.cos(2 * math.pi * note / RATE)
        s1 = s2 = 0.0
        for s in samples:
            s1, s2 = s + k * s1 - s2, s1
        tone = (s1 * s1 + s2 * s2 - k * s1 * s2) / (len(samples) / 2)
        if tone > PURITY * power:
            return note
    return None


def hear(samples):
    """The notes of a recording, in order: a note counts when it fills at least three frames in a row."""
    frames = [frame_note(samples[i : i + FRAME]) for i in range(0, len(samples) - FRAME + 1, FRAME)]
    notes = []
    run = 0
    for i, note in enumerate(frames):
        run = run + 1 if i and note == frames[i - 1] else 1
        if note and run == 3:
            notes.append(note)
    return notes


def longest_match(sent, heard):
    """Length of the longest sequence of neighbouring notes of `heard` that is also in `sent`."""
    best = 0
    lengths = [0] * (len(sent) + 1)
    for h in heard:
        row = [0] * (len(sent) + 1)
        for j, s in enumerate(sent):
            if h == s:
                row[j + 1] = lengths[j] + 1
                best = max(best, row[j + 1])
        lengths = row
    return best
