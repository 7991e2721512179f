"""An SVG of answered requests over time: a panel for each scenario, a line for each client, 429s marked.

Written by hand, so that it needs nothing and reads well in a diff. Its colours suit light and dark
pages alike.
"""

import html
from collections.abc import Iterator, Sequence
from typing import Final

from rig.trial import Trial

__all__ = ["plot"]

WIDTH: Final = 430
HEIGHT: Final = 210
LEFT: Final = 34
LABELS: Final = 205
TOP: Final = 30
BOTTOM: Final = 34
HEADER: Final = 30

COLOURS: Final = ("#2f7ff0", "#b07500", "#2c9a52", "#9a6bdc", "#7d8590", "#10939e")
"""Ours first; red is kept for 429s."""

HEADING: Final = "Calls answered, of 200, over the seconds of Toggl's time"

STYLE: Final = """
text { font: 11px system-ui, sans-serif; fill: #57606a }
.title { font-weight: 600; fill: #24292f }
.axis { stroke: #8c959f; stroke-width: 1; fill: none }
.grid { stroke: #8c959f; stroke-opacity: .25; fill: none }
.line { fill: none; stroke-width: 1.5; stroke-linejoin: round }
.ours { stroke-width: 3 }
.refused { stroke: #e5383b; stroke-width: 1.2; fill: none }
.end { stroke: none }
@media (prefers-color-scheme: dark) {
  text { fill: #9ea7b3 }
  .title { fill: #e6edf3 }
}
"""


def plot(panels: Sequence[Sequence[Trial]]) -> str:
    """Draw panels, two in a row; each holds the trials of one scenario, ours first."""
    rows = -(-len(panels) // 2)
    width, height = 2 * (LEFT + WIDTH + LABELS), HEADER + rows * (TOP + HEIGHT + BOTTOM)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>Requests answered over time, by client</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="18">{HEADING}</text>',
        f'<path class="refused" d="M{LEFT + 400} 9v10"/>',
        f'<text x="{LEFT + 407}" y="18">a request refused with 429</text>',
    ]
    for number, trials in enumerate(panels):
        x = (number % 2) * (LEFT + WIDTH + LABELS) + LEFT
        y = HEADER + number // 2 * (TOP + HEIGHT + BOTTOM) + TOP
        parts.append(f'<g transform="translate({x} {y})">')
        parts.extend(_panel(trials))
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _panel(trials: Sequence[Trial]) -> Iterator[str]:
    """Draw one scenario."""
    scenario = trials[0].scenario
    longest = max(trial.duration for trial in trials)
    step = _step(longest)
    seconds = -(-longest // step) * step
    across, up = WIDTH / seconds, HEIGHT / scenario.calls
    yield f'<text class="title" x="0" y="-10">{html.escape(scenario.title)}</text>'
    for calls in range(0, scenario.calls + 1, 50):
        y = HEIGHT - calls * up
        yield f'<path class="grid" d="M0 {y:.1f}H{WIDTH}"/>'
        yield f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{calls}</text>'
    for number in range(round(seconds / step) + 1):
        x = number * step * across
        unit = " s" if number == round(seconds / step) else ""
        yield f'<text x="{x:.1f}" y="{HEIGHT + 16}" text-anchor="middle">{number * step:,.0f}{unit}</text>'
    yield f'<path class="axis" d="M0 0V{HEIGHT}H{WIDTH}"/>'
    for trial, colour in reversed(list(zip(trials, COLOURS, strict=False))):
        yield from _line(trial, colour, across, up)
    yield from _labels(trials, up)


def _line(trial: Trial, colour: str, across: float, up: float) -> Iterator[str]:
    """Draw one client: the answers as a line to its end, the 429s as ticks on it."""
    times = sorted(trial.since_start(call.ended) for call in trial.calls if call.error is None)
    points = [(0.0, 0), *((moment, number) for number, moment in enumerate(times, 1))]
    points.append((trial.duration, len(times)))
    drawn = _thinned([(moment * across, HEIGHT - number * up) for moment, number in points])
    ours = " ours" if trial.client == "toggl_async" else ""
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in drawn)
    yield f'<path class="line{ours}" stroke="{colour}" d="M{path}"/>'
    x, y = drawn[-1]
    yield f'<circle class="end" fill="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="{3.5 if ours else 2.5}"/>'
    refused = [trial.since_start(seen.at) for seen in trial.seen if seen.status == 429]
    ticks = {
        (round(moment * across), round(HEIGHT - sum(t <= moment for t in times) * up)) for moment in refused
    }
    if ticks:
        yield f'<path class="refused" d="{"".join(f"M{x} {y - 5}v10" for x, y in sorted(ticks))}"/>'


def _labels(trials: Sequence[Trial], up: float) -> Iterator[str]:
    """Name the lines at the right, in the order of their ends, none on top of another."""
    ends = sorted(
        ((HEIGHT - trial.answered * up, number) for number, trial in enumerate(trials)), reverse=True
    )
    lowest = HEIGHT + 15.0
    for end, number in ends:
        trial, colour = trials[number], COLOURS[number % len(COLOURS)]
        lowest = min(end + 4, lowest - 13)
        weight = ' font-weight="700"' if trial.client == "toggl_async" else ""
        refused = trial.statuses(429)
        count = f"{trial.answered}" + (f", {refused:,} x 429" if refused else "")
        yield (
            f'<text x="{WIDTH + 8}" y="{lowest:.1f}" style="fill:{colour}"{weight}>'
            f"{html.escape(trial.client)} {count}</text>"
        )


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Leave out points of a line that no eye could tell from their predecessors."""
    kept = points[:1]
    for point in points[1:]:
        if abs(point[0] - kept[-1][0]) + abs(point[1] - kept[-1][1]) >= 1:
            kept.append(point)
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _step(longest: float) -> float:
    """Return a round distance of marks for an axis of this length."""
    return next(
        step for step in (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000) if longest <= 5.5 * step
    )
