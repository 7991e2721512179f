"""``python -m toggl_async``: the command `toggl-async`, for when its script is not on the path."""

import sys

from toggl_async.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
