"""``TOGGL_LOG``: shows the library's log on stderr, for a program that hasn't set up logging.

Loaded with the package only if the variable is set. It affects only the logger ``toggl_async``: never the
root logger, and never those of httpx and httpcore, which log tokens and cookies. If the root logger has
handlers, the program has set up logging, and those handlers take the records, so nothing is written twice.

Imports nothing from the package.
"""

import logging
from typing import Final, TextIO

__all__ = ["set_up"]

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
"""The values of the variable."""

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to stderr where nobody else writes."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            super().emit(record)


def set_up(value: str) -> None:
    """Log from a level on; anything but a level is reported, and changes nothing.

    Args:
        value: one of `LEVELS`, in any case.
    """
    logger = logging.getLogger("toggl_async")
    level = LEVELS.get(value.strip().lower())
    if level is None:
        logger.warning("TOGGL_LOG must be one of %s, not %r; it is ignored", ", ".join(LEVELS), value)
        return
    handler = _Stderr()
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger.addHandler(handler)
    logger.setLevel(level)
