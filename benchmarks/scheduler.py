"""toggl_async's scheduler against its targets and against the other Python clients, in one run.

Run it with ``nox -s bench -- scheduler``; it takes about ten minutes, nearly all of it waiting.
Every client runs in a process of its own, against a server in another, over real sockets, and time
runs ten to sixty times as fast as Toggl's (`rig.scenarios`). The peers come from PyPI into
environments of their own. A whole run writes `benchmarks/results/scheduler.*` and the tables in
`docs/benchmarks.md`; with ``--clients`` or ``--scenarios`` only part of it is run, and printed.
"""

import argparse
import collections
import sys
from collections.abc import Sequence

import attrs
from rig.environments import OURS, PEERS, Client
from rig.plot import plot
from rig.report import RESULTS, machine, mark, publish, save, table
from rig.scenarios import SCENARIOS, Scenario
from rig.trial import Trial, run
from rig.verdicts import Verdict, verdicts_on

PLOTTED = ("alone", "slow", "shared", "quota")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    clients = [client.name for client in (OURS, *PEERS)]
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--clients", nargs="+", choices=clients, default=clients, metavar="NAME")
    parser.add_argument("--scenarios", nargs="+", choices=names, default=names, metavar="NAME")
    return parser.parse_args()


def run_all(clients: Sequence[Client], scenarios: Sequence[Scenario]) -> list[Trial]:
    """Put every client through every scenario that it can do, one at a time."""
    for client in clients:
        client.python()  # installs what is missing, before anything is measured
    trials = []
    for scenario in scenarios:
        for client in clients:
            if client is OURS or scenario.peers:
                trial = run(client, scenario)
                print(f"{scenario.name}: {client.name}: {trial.answered} answered", file=sys.stderr)
                trials.append(trial)
    return trials


def targets_table(verdicts: Sequence[Verdict]) -> str:
    """Show each target with what was measured."""
    rows = []
    last = ""
    for verdict in verdicts:
        scenario = "" if verdict.scenario == last else verdict.scenario
        rows.append((scenario, verdict.target, verdict.measured, mark(met=verdict.met)))
        last = verdict.scenario
    return table(("scenario", "target", "measured", ""), rows)


def reads_table(trials: Sequence[Trial]) -> str:
    """Compare the clients by what they make of 200 reads."""
    rows: dict[str, list[str]] = {}
    titles: list[str] = []
    for trial in trials:
        if trial.scenario.action == "read" and trial.scenario.peers:
            if trial.scenario.title not in titles:
                titles.append(trial.scenario.title)
            rows.setdefault(_name(trial), []).append(_reads(trial))
    return table(("client", *titles), ((name, *cells) for name, cells in rows.items()))


def creates_table(trials: Sequence[Trial]) -> str:
    """Compare the clients by what they make of creates that meet 502s."""
    rows = []
    for trial in trials:
        if trial.scenario.action == "create":
            applied = set(trial.record.applied)
            failed = [call for call in trial.calls if call.error is not None]
            silent = [call for call in failed if f"entry {call.number}" in applied and not call.maybe_applied]
            rows.append(
                (
                    _name(trial),
                    f"{trial.answered:,}",
                    f"{trial.created:,}",
                    f"{trial.duplicates}",
                    f"{sum(bool(call.maybe_applied) for call in failed)}",
                    f"{len(silent)}",
                )
            )
    head = (
        "client",
        "calls answered",
        "entries created",
        "duplicates",
        'failed with "maybe applied"',
        "failed, yet created, without a word",
    )
    return table(head, rows)


def summary(trial: Trial) -> dict[str, object]:
    """Return the figures of a trial, for the JSON file."""
    return {
        "client": trial.client,
        "scenario": trial.scenario.name,
        "server": attrs.asdict(trial.scenario.server_for(trial.client)),
        "calls": len(trial.calls),
        "answered": trial.answered,
        "errors": dict(trial.errors),
        "seconds": round(trial.duration, 2),
        "requests": len(trial.seen),
        "statuses": dict(collections.Counter(str(seen.status) for seen in trial.seen)),
        "created": trial.created,
        "duplicates": trial.duplicates,
    }


def main() -> int:
    """Run, print, and write the results of a whole run; return the exit code."""
    options = arguments()
    clients = [client for client in (OURS, *PEERS) if client.name in options.clients]
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in options.scenarios]
    described = machine()
    trials = run_all(clients, scenarios)
    verdicts = [verdict for trial in trials if trial.client == OURS.name for verdict in verdicts_on(trial)]
    sections = {
        "scheduler targets": targets_table(verdicts),
        "scheduler reads": reads_table(trials),
        "scheduler creates": creates_table(trials),
    }
    for text in sections.values():
        print(text, end="\n\n")
    if len(clients) == 1 + len(PEERS) and len(scenarios) == len(SCENARIOS):
        for section, text in sections.items():
            publish(section, text)
        versions = {client.name: list(client.requirements) for client in PEERS}
        save(
            "scheduler",
            {
                "machine": described,
                "peers": versions,
                "targets": [attrs.asdict(verdict) for verdict in verdicts],
                "trials": [summary(trial) for trial in trials],
            },
        )
        panels = [[trial for trial in trials if trial.scenario.name == name] for name in PLOTTED]
        (RESULTS / "scheduler.svg").write_text(plot(panels), "utf-8")
    return 0 if all(verdict.met for verdict in verdicts) else 1


def _reads(trial: Trial) -> str:
    refused = ", ".join(
        f"{trial.statuses(status):,} x {status}" for status in (429, 402) if trial.statuses(status)
    )
    return f"{trial.answered} in {trial.duration:,.0f} s" + (f"; {refused}" if refused else "")


def _name(trial: Trial) -> str:
    return f"**{trial.client}**" if trial.client == OURS.name else trial.client


if __name__ == "__main__":
    sys.exit(main())
