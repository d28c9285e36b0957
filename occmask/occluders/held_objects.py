"""What comes before a face by hand: the hand itself, a cup, a phone, a book."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from ..images.pixels import Pixels
from .occluder import Worn
from .sketch import Colour, Sketch, any_colour, band, blend, box, capsule, curve, ellipse, lit, shade

_SKIN: tuple[Colour, ...] = (
    (250, 222, 200),
    (240, 196, 166),
    (222, 172, 134),
    (196, 138, 100),
    (150, 98, 66),
    (108, 70, 48),
    (66, 44, 34),
)


class Hand:
    """The back of a hand, four fingers and a thumb, in a random pose and any human skin tone."""

    worn = Worn(0.5, 0.74, 0.52, jitter=0.06, stretch=0.15)

    def draw(self, rng: Generator, width: int) -> Pixels:
        tone = rng.uniform(0, len(_SKIN) - 1.001)
        skin = blend(_SKIN[int(tone)], _SKIN[int(tone) + 1], tone % 1)
        line, nail = shade(skin, 0.66), blend(shade(skin, 1.1), (255, 205, 200), 0.45)
        sketch = Sketch()
        if rng.random() < 0.4:
            sketch.fill(box(-0.44, 1.25, 0.44, 1.62), any_colour(rng, high=200))  # the end of a sleeve
        wrist = curve([(-0.46, 0.55), (-0.4, 0.95), (-0.34, 1.2), (-0.34, 1.45)])
        sketch.fill(np.concatenate([wrist, wrist[::-1] * (-1, 1)]), skin)
        thumb_turn = rng.uniform(0.25, 0.75)
        base = np.array([-0.34, 0.62])
        knuckle = base + 0.46 * np.array([-np.sin(thumb_turn), -np.cos(thumb_turn)])
        tip = knuckle + 0.36 * np.array([-np.sin(thumb_turn - 0.3), -np.cos(thumb_turn - 0.3)])
        for grow, colour in ((0.022, line), (0.0, skin)):
            sketch.fill(capsule(base, knuckle, 0.19 + grow, 0.15 + grow), colour)
            sketch.fill(capsule(knuckle, tip, 0.15 + grow, 0.125 + grow), colour)
        sketch.fill(ellipse(tip[0] - 0.01, tip[1] - 0.03, 0.07, 0.08), nail)
        spread, curl = rng.uniform(0.03, 0.17), rng.uniform(0.82, 1.0)
        fingers = (
            (-0.37, 0.0, 0.84, 0.128),
            (-0.125, -0.06, 0.98, 0.132),
            (0.125, -0.03, 0.9, 0.128),
            (0.36, 0.07, 0.7, 0.11),
        )
        for i, (x, y, length, radius) in enumerate(fingers):
            turn = (i - 1.4) * spread
            ahead = np.array([np.sin(turn), -np.cos(turn)])
            start = np.array([x, y + 0.2])
            end = start + ahead * (length * curl + 0.2 - radius)
            sketch.fill(capsule(start, end, radius + 0.03, radius * 0.86 + 0.022), line)
            sketch.fill(capsule(start, end, radius, radius * 0.86), skin)
            sketch.fill(ellipse(end[0], end[1], radius * 0.5, radius * 0.6, num=14), nail)
            across = np.array([np.cos(turn), np.sin(turn)]) * radius * 0.6
            for joint in (0.36, 0.68):
                middle = start + (end - start) * (joint + 0.08)
                sketch.fill(band([middle - across, middle + across], 0.022), shade(skin, 0.8))
        sketch.fill(ellipse(0, 0.5, 0.49, 0.47, power=3.2), skin)
        for x, y, *_ in fingers:
            sketch.fill(ellipse(x, y + 0.2, 0.07, 0.045, num=14), shade(skin, 0.9))
        if rng.random() < 0.5:
            sketch.mirror()
        sketch.tilt(rng.uniform(-40, 40))
        return lit(sketch.render(width), rng, strength=0.22)


class Cup:
    """A mug with a handle, or a paper cup with a lid and a sleeve."""

    worn = Worn(0.5, 0.79, 0.5, jitter=0.04, stretch=0.12)

    def draw(self, rng: Generator, width: int) -> Pixels:
        body = any_colour(rng, low=60) if rng.random() < 0.7 else (240, 238, 232)
        other = any_colour(rng)
        sketch = Sketch()
        if rng.random() < 0.6:
            self._mug(sketch, body, other, rng)
        else:
            self._paper_cup(sketch, body, other, rng)
        if rng.random() < 0.5:
            sketch.mirror()
        sketch.tilt(rng.normal(0, 5))
        return lit(sketch.render(width), rng, strength=0.15)

    def _mug(self, sketch: Sketch, body: Colour, other: Colour, rng: Generator) -> None:
        height, foot = rng.uniform(1.0, 1.25), rng.uniform(0.42, 0.5)
        handle = ellipse(0.5, height * 0.5, rng.uniform(0.22, 0.28), height * 0.3)
        sketch.fill(band(handle, 0.14, closed=True), shade(body, 0.7))
        sketch.fill(band(handle - (0.01, 0.01), 0.09, closed=True), shade(body, 0.88))
        self._wall(sketch, body, 0, height, 0.5, foot)
        if rng.random() < 0.6:
            self._wall(sketch, other, height * rng.uniform(0.25, 0.4), height * rng.uniform(0.55, 0.8), 0.495, foot)
        else:
            sketch.fill(ellipse(-0.06, height * 0.55, 0.2, 0.22), other)
        sketch.fill(ellipse(0, 0, 0.5, 0.1), blend(body, (255, 255, 255), 0.35))
        sketch.fill(ellipse(0, 0.008, 0.45, 0.078), shade(body, 0.45))
        sketch.fill(ellipse(0, 0.035, 0.4, 0.048), (70, 42, 26))

    def _paper_cup(self, sketch: Sketch, body: Colour, other: Colour, rng: Generator) -> None:
        height, foot = rng.uniform(1.35, 1.6), rng.uniform(0.32, 0.38)
        lid = (246, 246, 244) if rng.random() < 0.6 else (40, 36, 34)
        self._wall(sketch, body, 0, height, 0.5, foot)
        self._wall(
            sketch, other if rng.random() < 0.5 else (166, 124, 84), height * 0.36, height * 0.74, 0.475, foot + 0.03
        )
        sketch.fill(box(-0.54, -0.07, 0.54, 0.05, radius=0.05), shade(lid, 0.84))
        sketch.fill(np.array([(-0.47, -0.06), (-0.43, -0.19), (0.43, -0.19), (0.47, -0.06)]), lid)
        sketch.fill(ellipse(0, -0.19, 0.43, 0.035), shade(lid, 0.92))

    @staticmethod
    def _wall(sketch: Sketch, colour: Colour, top: float, bottom: float, wide: float, narrow: float) -> None:
        """A piece of a tapering round wall in strips, as bright as each faces the light."""
        turn = np.linspace(0, np.pi, 17)
        taper = wide - (wide - narrow) * top / max(bottom, 1.0)
        upper = np.stack([-taper * np.cos(turn), top + 0.1 * np.sin(turn)], axis=1)
        lower = np.stack(
            [-narrow * np.cos(turn) * (1 if bottom > 0.95 else 1.06), bottom + 0.09 * np.sin(turn)], axis=1
        )
        for i in range(16):
            light = 0.7 + 0.42 * np.sin(np.pi * (i + 2) / 19) ** 2
            # the seam between two strips would show the background: let them overlap a little
            overlap = (0.015, 0) if i < 15 else (0, 0)
            strip = np.array([upper[i], upper[i + 1] + overlap, lower[i + 1] + overlap, lower[i]])
            sketch.fill(strip, shade(colour, light))


class Phone:
    """A telephone held before the face: its back with the cameras, or its screen."""

    worn = Worn(0.66, 0.6, 0.44, jitter=0.08, stretch=0.15)

    def draw(self, rng: Generator, width: int) -> Pixels:
        case = any_colour(rng, low=15, high=80) if rng.random() < 0.5 else any_colour(rng)
        tall = rng.uniform(1.9, 2.15)
        sketch = Sketch()
        sketch.fill(box(0, 0, 1, tall, radius=0.15), shade(case, 0.6))
        sketch.fill(box(0.03, 0.03, 0.97, tall - 0.03, radius=0.13), case)
        if rng.random() < 0.65:
            self._cameras(sketch, case, tall, rng)
        else:
            self._screen(sketch, tall, rng)
        if rng.random() < 0.5:
            sketch.mirror()
        sketch.tilt(rng.uniform(-30, 30))
        return lit(sketch.render(width), rng, strength=0.2)

    def _cameras(self, sketch: Sketch, case: Colour, tall: float, rng: Generator) -> None:
        sketch.fill(box(0.08, 0.08, 0.5, 0.52, radius=0.1), shade(case, 0.75))
        sketch.fill(box(0.095, 0.095, 0.485, 0.505, radius=0.09), blend(case, (255, 255, 255), 0.16))
        for x, y in ((0.19, 0.19), (0.19, 0.41), (0.39, 0.3))[: int(rng.integers(2, 4))]:
            sketch.fill(ellipse(x, y, 0.088, 0.088, num=18), (150, 152, 158))
            sketch.fill(ellipse(x, y, 0.07, 0.07, num=18), (14, 15, 20))
            sketch.fill(ellipse(x - 0.02, y - 0.02, 0.02, 0.02, num=8), (130, 150, 190))
        sketch.fill(ellipse(0.39, 0.15, 0.03, 0.03, num=10), (250, 246, 220))
        sketch.fill(ellipse(0.5, tall * 0.52, 0.1, 0.1, num=18), blend(case, (255, 255, 255), 0.3))

    def _screen(self, sketch: Sketch, tall: float, rng: Generator) -> None:
        sketch.fill(box(0.05, 0.05, 0.95, tall - 0.05, radius=0.11), (12, 12, 15))
        sketch.fill(box(0.08, 0.14, 0.92, tall - 0.1, radius=0.05), any_colour(rng, low=20, high=200))
        for row in range(4):
            for column in range(3):
                x, y = 0.17 + 0.25 * column, 0.3 + row * 0.3
                sketch.fill(box(x, y, x + 0.17, y + 0.17, radius=0.04), any_colour(rng, low=60, high=255))
        sketch.fill(box(0.4, 0.07, 0.6, 0.11, radius=0.019), (40, 40, 46))


class Book:
    """A closed book with a title and its pages showing, or an open one seen from outside."""

    worn = Worn(0.5, 0.72, 0.66, jitter=0.06, stretch=0.15)

    def draw(self, rng: Generator, width: int) -> Pixels:
        cover = any_colour(rng, low=20, high=200)
        ink = (245, 236, 210) if sum(cover) < 380 else (40, 34, 40)
        sketch = Sketch()
        if rng.random() < 0.6:
            tall = rng.uniform(1.25, 1.5)
            sketch.fill(box(0.03, 0.03, 1.08, tall + 0.07), shade(cover, 0.6))
            sketch.fill(box(0.03, 0.03, 1.05, tall + 0.045), (240, 233, 214))
            for line in (0.015, 0.03):
                sketch.fill(box(0.03, tall + line, 1.05, tall + line + 0.005), (190, 182, 164))
            self._cover(sketch, cover, ink, 0.0, tall, rng)
        else:
            tall = rng.uniform(1.3, 1.45)
            sketch.fill(box(-1.1, 0.03, 1.1, tall - 0.03), (240, 233, 214))
            self._cover(sketch, cover, ink, 0.06, tall, rng)
            sketch.fill(box(-1.06, 0, -0.06, tall), cover)
            for row in range(6):
                y = 0.3 + 0.1 * row
                sketch.fill(box(-0.92, y, rng.uniform(-0.5, -0.2), y + 0.04), blend(cover, ink, 0.6))
            sketch.fill(box(-0.08, 0, 0.08, tall), shade(cover, 0.68))
            sketch.fill(box(-0.02, tall * 0.15, 0.02, tall * 0.7), ink)
        sketch.tilt(rng.normal(0, 9))
        return lit(sketch.render(width), rng, strength=0.18)

    @staticmethod
    def _cover(sketch: Sketch, cover: Colour, ink: Colour, left: float, tall: float, rng: Generator) -> None:
        sketch.fill(box(left, 0, left + 1, tall), cover)
        sketch.fill(box(left, 0, left + 0.09, tall), shade(cover, 0.7))
        sketch.fill(box(left + 0.18, 0.13, left + rng.uniform(0.7, 0.9), 0.23), ink)
        sketch.fill(box(left + 0.18, 0.28, left + rng.uniform(0.5, 0.85), 0.36), ink)
        picture, motif = any_colour(rng), any_colour(rng)
        sketch.fill(box(left + 0.2, 0.5, left + 0.9, tall - 0.28), picture)
        sketch.fill(ellipse(left + 0.55, tall / 2 + 0.11, *rng.uniform(0.1, 0.3, 2), power=rng.uniform(0.7, 5)), motif)
        sketch.fill(box(left + 0.3, tall - 0.18, left + 0.8, tall - 0.12), ink)
