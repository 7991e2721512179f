"""When a failed request is sent again: pure arithmetic, no clock and no I/O.

Three questions decide. *Was it carried out?* A 429 and a quota 402 were not, whatever the method,
so they are not this file's business: they return to the queue. *Is doing it twice harmless?* A read
is. *Did it leave at all?* A connection that never opened carried nothing, so even a write is safe.
What remains (a write whose answer was lost, or that met a 5xx) may have been applied and is never
repeated: the caller alone can look it up.

The delay grows by powers of two and is drawn at random from its whole range ("full jitter"), so
that programs which failed together do not come back together.
"""

import random

from toggl_async.options import Retry

__all__ = ["delay", "may_retry"]


def may_retry(*, attempts: int, reads: bool, sent: bool, replayable: bool, options: Retry) -> bool:
    """Say whether a failed request may be sent again.

    Args:
        attempts: how often it has been tried, the last time included.
        reads: whether it changes nothing.
        sent: whether its first byte may have left.
        replayable: whether its body can be sent a second time.
        options: how often at most.
    """
    if attempts >= options.attempts:
        return False
    return not sent or (reads and replayable)


def delay(failures: int, *, options: Retry, source: random.Random, retry_after: float | None = None) -> float:
    """Return the seconds before the account's next request.

    Args:
        failures: how many requests of the account failed in a row, the last one included; from 1.
        options: the range.
        source: where chance comes from.
        retry_after: what the server asked for; the delay is never shorter.
    """
    # The exponent is capped: 2 ** 1024 is no float.
    ceiling = min(options.maximum, options.minimum * 2.0 ** min(failures, 64))
    return max(source.uniform(options.minimum, max(options.minimum, ceiling)), retry_after or 0.0)
