"""The driver of one account: it asks the core, waits, and gives turns to waiting calls.

It owns what the core must not know: futures, timers and the running loop. An account has one timer, one
outbox of notes and one transaction under way. `poke` starts the loop, which is a generator: it collects
wants and notes, applies the step, and takes what was granted. It yields only when it has to wait for a
budget; a task then finishes the rest. So a budget in memory costs no await and no task, and there is one loop
for all budgets. Poking it meanwhile sets a flag, and the loop runs once more.

A call that finds its account at rest takes its turn itself, without a line, a future or the loop.

*Cancellation.* A caller that gives up leaves its place, or gives its turn back; others lose one place at
most. *Listeners* are called after the fact, so they can do anything to calls and to the scheduler.

Every send passes a limiter once its connection is at hand, whatever the budget says. The limiter guarantees
the spacing of this process's sends, even while a store is away or wrong.
"""

from toggl_async.scheduler.driver.calls import Driver
from toggl_async.scheduler.driver.tickets import Background, Ticket, closed

__all__ = ["Background", "Driver", "Ticket", "closed"]
