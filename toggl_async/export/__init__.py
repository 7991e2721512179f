"""The bulk export: everything that a token can see, exported in as few requests as possible.

::

    async with TogglClient.from_env() as toggl:
        manifest = await export(toggl, ExportPlan(), "toggl-export")

The rows go into a mirror, ``mirror.sqlite``, and the files are written from there. Programs use that database
through `Mirror`: `Mirror.refresh` brings it up to date without writing files, and `Mirror.feed` says what
changed.

In JSON Lines, each dataset is one file for all workspaces. Its rows are as Toggl sent them, byte for byte,
with four exceptions (`toggl_async.export.rows`): a row that names no workspace (users, clients, time entries
of reports) gets a ``workspace_id``; a time entry has the fields of its report row as well as its own; the
``row_number`` of a report is left out; fields that would give a reader access (`SECRET_FIELDS`) are null. The
other formats have the columns that `toggl_async.export.mirror.tables` declares.

Each package has one job. `plan` is what to export: `datasets` declares the datasets, `survey` sends the first
requests, `estimate` computes the cost. `read` sends the requests: `reading` has what they share, `lists` and
`entries` read for the first time, `update` and `edits` read what may have changed, `verify` compares with
Toggl's totals. `mirror` stores the rows: `store` is the protocol of a database, `schema`, `sql`, `sqlite` and
`postgres` implement it, `open_snapshot` reads it, `books` track a run, `pieces` its progress, `tables`
declares the columns, `manifest` is the result. `formats` writes files from rows. `run` puts it all together:
`refresh` reads, `mirror` is what programs use, `directory` writes the files, `every` keeps both fresh, and
`rounds` decides what each round reads. `batches` passes rows to programs instead, and `dlt` passes a mirror
to dlt.
"""

import importlib
from typing import TYPE_CHECKING

from toggl_async.export.batches import Batch, Batches, BatchSummary, TotalsDiffer, export_batches
from toggl_async.export.formats import FORMATS
from toggl_async.export.mirror.manifest import (
    Changes,
    Check,
    Failure,
    File,
    FileFacts,
    Manifest,
    ManifestEntry,
    MonthCheck,
    Refusal,
    Stale,
)
from toggl_async.export.mirror.progress import (
    DatasetFinished,
    ExportEvent,
    ExportStarted,
    OnExportEvent,
    PieceFailed,
    PieceRefused,
    RangeChecked,
    RowsWritten,
)
from toggl_async.export.mirror.store import Change
from toggl_async.export.plan.datasets import DATASETS, Dataset
from toggl_async.export.plan.estimate import DatasetEstimate, Estimate, QuotaEstimate, estimate
from toggl_async.export.plan.plan import DateRange, ExportPlan
from toggl_async.export.plan.survey import Survey, SurveyedWorkspace, survey
from toggl_async.export.run.directory import export
from toggl_async.export.run.every import QuotaLeft, RefreshRound, export_every, refresh_every
from toggl_async.export.run.mirror import Mirror, Selected

if TYPE_CHECKING:
    from toggl_async.export.mirror.tables import ExportedTimeEntry as ExportedTimeEntry

__all__ = [
    "DATASETS",
    "FORMATS",
    "Batch",
    "BatchSummary",
    "Batches",
    "Change",
    "Changes",
    "Check",
    "Dataset",
    "DatasetEstimate",
    "DatasetFinished",
    "DateRange",
    "Estimate",
    "ExportEvent",
    "ExportPlan",
    "ExportStarted",
    "ExportedTimeEntry",
    "Failure",
    "File",
    "FileFacts",
    "Manifest",
    "ManifestEntry",
    "Mirror",
    "MonthCheck",
    "OnExportEvent",
    "PieceFailed",
    "PieceRefused",
    "QuotaEstimate",
    "QuotaLeft",
    "RangeChecked",
    "RefreshRound",
    "Refusal",
    "RowsWritten",
    "Selected",
    "Stale",
    "Survey",
    "SurveyedWorkspace",
    "TotalsDiffer",
    "estimate",
    "export",
    "export_batches",
    "export_every",
    "refresh_every",
    "survey",
]


if not TYPE_CHECKING:  # A type checker that saw it would believe every name.

    def __getattr__(name: str) -> object:
        """Load `ExportedTimeEntry` when it is first asked for: its module loads every record."""
        if name != "ExportedTimeEntry":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found: object = getattr(importlib.import_module("toggl_async.export.mirror.tables"), name)
        globals()[name] = found
        return found
