"""Many writes: each row is sent once, with its outcome and progress, and an interrupted run can resume.

::

    from toggl_async import writes

    async for written in writes.write_all(rows, write, find=find, journal="import.sqlite"):
        print(written.done, "of", written.total, written.row, written.how, written.error or "")

A write whose answer was lost may have been carried out. Before the row is sent again, `find` checks whether
it exists, and the outcome says what it found.
"""

from toggl_async.writes.outcomes import How, Written
from toggl_async.writes.writing import write_all

__all__ = ["How", "Written", "write_all"]
