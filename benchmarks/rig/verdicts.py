"""The targets of toggl_async, each measured against what the server and the driver saw."""

import statistics
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

import attrs

from rig.server import WORKSPACE, Seen
from rig.trial import Trial

__all__ = ["Verdict", "verdicts_on"]

BULK: Final = 1_000_000
"""From here on the ids of entries belong to bulk reads."""


@attrs.frozen
class Verdict:
    """One target: what it asks, what was measured, and whether that is enough."""

    scenario: str
    target: str
    measured: str
    met: bool


Finding = tuple[str, str, bool]


def verdicts_on(trial: Trial) -> list[Verdict]:
    """Hold a trial of toggl_async against its targets."""
    judge: Callable[[Trial], Iterator[Finding]] = JUDGES[trial.scenario.name]
    return [Verdict(trial.scenario.title, *finding) for finding in judge(trial)]


def ideal(trial: Trial) -> float:
    """Return the seconds that the requests need at the server's interval, since it promises no burst."""
    return (trial.scenario.calls - 1) * trial.scenario.server.interval


def _all_answered(trial: Trial) -> Finding:
    calls = trial.scenario.calls
    return f"{calls:,} answered", f"{trial.answered:,}", trial.answered == calls


def _throttled(trial: Trial, most: int) -> Finding:
    count = trial.statuses(429)
    return f"at most {most} x 429" if most else "0 x 429", f"{count}", count <= most


def _in_time(trial: Trial) -> Finding:
    ratio = trial.duration / ideal(trial)
    return "at most 1.05 x ideal", f"{ratio:.3f} ({trial.duration:.1f} s)", ratio <= 1.05


def _alone(trial: Trial) -> Iterator[Finding]:
    yield _all_answered(trial)
    yield _throttled(trial, 0)
    yield _in_time(trial)


def _slow(trial: Trial) -> Iterator[Finding]:
    yield _all_answered(trial)
    yield _in_time(trial)


def _jitter(trial: Trial) -> Iterator[Finding]:
    yield _all_answered(trial)
    yield _throttled(trial, 3)
    refused = [number for number, seen in enumerate(trial.seen) if seen.status == 429]
    rest = trial.seen[refused[-1] + 1 :] if refused else trial.seen
    gaps = [trial.since_start(later.at) - trial.since_start(earlier.at) for earlier, later in pairwise(rest)]
    mean = statistics.fmean(gaps)
    target = "after the last 429 at most 1.15 x the interval a request"
    yield target, f"{mean:.3f} over {len(rest)} requests", mean <= 1.15 * trial.scenario.server.interval


def _shared(trial: Trial) -> Iterator[Finding]:
    yield _all_answered(trial)
    yield _throttled(trial, 5)


def _quota(trial: Trial) -> Iterator[Finding]:
    yield _all_answered(trial)
    count = trial.statuses(402)
    yield "at most one 402", f"{count}", count <= 1


def _impatient(trial: Trial) -> Iterator[Finding]:
    quota = trial.scenario.server.quota or 0
    refused = [call for call in trial.calls if call.error == "QuotaExceeded"]
    rest = trial.scenario.calls - quota
    yield f"QuotaExceeded for the {rest} that the quota leaves over", f"{len(refused)}", len(refused) == rest
    yield f"no request for them ({quota} in all)", f"{len(trial.seen)}", len(trial.seen) == quota
    known = min(seen.answered for seen in trial.seen)
    late = trial.since_start(max((call.ended for call in refused), default=0.0)) - trial.since_start(known)
    yield "at once: within 1 s of the first answer, which tells the quota", f"{late:.2f} s", late <= 1.0


def _creates(trial: Trial) -> Iterator[Finding]:
    yield "0 duplicates", f"{trial.duplicates}", trial.duplicates == 0
    failed = [call for call in trial.calls if call.error is not None]
    unknown = {int(description.rpartition(" ")[2]) for description in trial.record.failed}
    says = {call.number for call in failed if call.maybe_applied}
    target = "maybe_applied on every call of unknown outcome, and on no other"
    yield target, f"{len(says & unknown)} of {len(unknown)}, {len(says - unknown)} others", says == unknown
    others = len(failed) - len(unknown)
    yield "all others answered", f"{trial.answered} answered, {others} other errors", not others


def _refusals(trial: Trial) -> Iterator[Finding]:
    asked = [seen.request for seen in trial.seen]
    for what, path, most in (
        ("410", "/api/v9/me/location", 1),
        ("402 of a feature", f"/api/v9/workspaces/{WORKSPACE}/tasks", 1),
        ("403", "/api/v9/organizations/5000000", 5),
    ):
        count = asked.count(f"GET {path}")
        yield f"{what}: {most} request{'s' if most > 1 else ''} for 5 calls", f"{count}", count == most


def _urgent(trial: Trial) -> Iterator[Finding]:
    yield _all_answered(trial)
    arrivals = {_entry(seen): seen.at for seen in trial.seen}
    bulk = [at for number, at in arrivals.items() if number >= BULK]
    overtaken = [sum(call.began < at < arrivals[call.number] for at in bulk) for call in trial.calls]
    more = sum(count > 1 for count in overtaken)
    counts = f"{overtaken.count(0)} x none, {overtaken.count(1)} x one, {more} x more"
    yield "at most one bulk read (the one being sent) goes before an urgent one", counts, max(overtaken) <= 1


def _entry(seen: Seen) -> int:
    return int(seen.request.rpartition("/")[2])


JUDGES: Final = {
    "alone": _alone,
    "jitter": _jitter,
    "shared": _shared,
    "slow": _slow,
    "quota": _quota,
    "impatient": _impatient,
    "creates": _creates,
    "refusals": _refusals,
    "urgent": _urgent,
}
