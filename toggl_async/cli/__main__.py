"""``python -m toggl_async.cli``: the command, where its script is not on the path."""

import sys

from toggl_async.cli import main

sys.exit(main())
