"""The rules of the scheduler: pure functions on values, without a clock, a loop or a socket.

Two kinds of state::

    Limits      what Toggl's limits are about, and who else waits: shared by all who use an account
    Schedule    what one process alone knows: its calls, their states, retries, deadlines

==============  ==========================================================================
`limits`        the shared value, how it is stored, how its clock goes
`process`       who asks: its options, its chance
`turns`         pace: how far apart requests leave, who takes a turn, how it is given back
`gate`          the rest after a 429, and the one probe that ends it
`windows`       the hourly quotas
`waiters`       the calendar: who comes when, who goes before whom, whom to wake
`notes`         what a process tells: answers, refusals, losses
`ask`           the step that joins them, the last look before the first byte, and the view
`queue`         the calls of one process that wait
`schedule`      the states of those calls, and what one process decides alone
`foresight`     how long a call will have to wait at least
`route`         what a request is
`outcome`       what an answer means
`retry`         what may be sent again, and when
`memory`        refusals that asking again would not change
==============  ==========================================================================

`now` and chance are arguments. Times are whole microseconds: of the store's clock in `Limits`, of
the process's own in `Schedule`. What passes between the two are durations, never instants, because
the two clocks need not agree.
"""

__all__: list[str] = []
