"""Bytes to records, and values to bytes: everything between coroutines and the wire.

::

    answer  ── strict ──▶ records            msgspec, straight into the attrs records
               │ a record does not fit
               ▼
            tolerant ──▶ records, drift      cattrs hooks, one odd record at a time
    body    ── encoding ──▶ JSON
    path, query ── urls ──▶ text

Imported by the client; imports `errors` and `record`.
"""

from toggl_async.codec.codec import Codec
from toggl_async.codec.drift import DriftWarning
from toggl_async.codec.urls import expand_path, path_value, query_items, query_value

__all__ = ["Codec", "DriftWarning", "expand_path", "path_value", "query_items", "query_value"]
