"""What may be sent again, and when.

Four questions decide. *Was it carried out?* A 429 and a quota 402 were not, whatever the method; they
return to the queue and aren't retries. *Is doing it twice harmless?* A read is. *Did it leave at
all?* A connection that never opened carried nothing, so even a write is safe; but only positive
evidence says so. *Can it succeed at all?* A certificate that can't be verified, a proxy that wants
another password and a method that the server lacks will be no different the next time, and five
wrong passwords lock an account. What remains (a write whose answer was lost, or that met a 5xx) may
have been applied and is never repeated: the caller alone can look it up.

After a failure the whole account holds back, because what failed is the server, or the network on
the way to it. The delay grows by powers of two and is drawn at random from its whole range ("full jitter"),
so that programs which failed together do not come back together. It grows by incidents: eight requests that
were under way when a gateway went down are one.
"""

import enum

import msgspec

from toggl_async.options import Retry
from toggl_async.scheduler.core.limits import SECOND

__all__ = ["Backoff", "Loss", "may_retry"]

_DOUBLINGS = 64  # 2 ** 1024 does not fit into a float


class Loss(enum.Enum):
    """How a request was lost."""

    NEVER_LEFT = "never left"
    """Proof exists that no byte of it was sent."""
    MAY_HAVE_LEFT = "may have left"
    """Anything else."""
    HOPELESS = "hopeless"
    """It never left, and is bound to fail again: certificate, proxy password, unusable URL."""


def may_retry(*, failures: int, reads: bool, loss: Loss, replayable: bool, attempts: int) -> bool:
    """Say whether a failed request may be sent again.

    Args:
        failures: how often it has failed, the last time included.
        reads: whether it changes nothing.
        loss: how it was lost; an answer of 5xx counts as `Loss.MAY_HAVE_LEFT`.
        replayable: whether its body can be sent a second time.
        attempts: how often it is sent at most.
    """
    if failures >= attempts or loss is Loss.HOPELESS or not replayable:
        return False
    return loss is Loss.NEVER_LEFT or reads


class Backoff(msgspec.Struct, gc=False):
    """How long an account holds back after failures, by one process's clock."""

    until: int = 0
    """When the next request may go."""
    incidents: int = 0
    """Failures in a row."""
    began: int = -1
    """When the latest incident was noticed: what had left by then is part of it."""

    def fail(self, now: int, sent_at: int, retry_after: int | None, options: Retry, chance: float) -> None:
        """Note a 5xx or a lost request.

        Args:
            now: the process's clock.
            sent_at: when the request left, or was tried to send.
            retry_after: what the server asked for; the delay is never shorter.
            options: the range of the delay.
            chance: a number in [0, 1).
        """
        if sent_at > self.began:
            self.began = now
            self.incidents += 1
            ceiling = min(options.maximum, options.minimum * 2.0 ** min(self.incidents, _DOUBLINGS))
            delay = options.minimum + (max(options.minimum, ceiling) - options.minimum) * chance
            self.until = max(self.until, now + int(delay * SECOND))
        self.until = max(self.until, now + (retry_after or 0))

    def recover(self) -> None:
        """Note an answer that is neither a 5xx nor a 429."""
        self.incidents = 0
