"""The driver of one account: it asks the core, waits, and gives turns to those who wait.

It owns what the core must not know: futures, timers and the running loop. An account has one timer, one
outbox of notes and one transaction under way. `poke` starts the loop, which is a generator: it collects
wants and notes, applies the step, and takes what was granted. It yields only where a budget has to be
waited for; what is not finished then is carried on by a task. So a budget in memory costs no await and no
task, and there is one loop for all budgets. Who pokes meanwhile sets a flag, and the loop goes round once
more.

A call that meets an account at rest takes its turn itself, without a line, a future or the loop.

*Cancellation.* A caller that gives up leaves its place, or hands its turn back; others lose one place at
most. *Listeners* are told after the fact, so they can do anything to calls and scheduler.

Every send passes a limiter when its connection is at hand, whatever the budget says: it guarantees the
spacing of this process's sends, also while a store is away or wrong.
"""

from toggl_async.scheduler.driver.calls import Driver
from toggl_async.scheduler.driver.tickets import Background, Ticket, closed

__all__ = ["Background", "Driver", "Ticket", "closed"]
