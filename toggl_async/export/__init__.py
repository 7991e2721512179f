"""The bulk export: everything that a token can see, into files, in as few requests as it takes.

::

    async with TogglClient.from_env() as toggl:
        manifest = await export(toggl, ExportPlan(), "toggl-export")

In JSON Lines each dataset is one file for all workspaces. Its rows are as Toggl sent them, byte for byte,
but for three things (`toggl_async.export.rows`): a row that names no workspace (users, clients, time
entries of reports) gets a ``workspace_id``; a time entry has the fields of its report row beside its own;
fields that would let a reader in (`SECRET_FIELDS`) are null. The other formats have the columns that
`toggl_async.export.tables` declares.

Each part has one job. What is asked for: `datasets` declares what there is, `plan` says what is taken and
how the history is cut, `estimate` what that will cost, `survey` makes the first contact. The work: `run`
puts it together, `reading` asks, `lists` and `entries` know what for, `intake` and `pages` make sure that
an answer is a list, `update` and `edits` what may have changed, `verify` compares with Toggl's totals.
What is kept: `pieces` says how far the work is, `books` writes it down with the rows, `destination` and
`lock` guard the directory, `sinks` hold one file for each format, `tables` the columns, `batches` hands
rows to programs instead, `manifest` is what is left to show for it, `freshness` what an update says
there, `progress` what is told meanwhile.
"""

from toggl_async.export.batches import Batch, Batches, BatchSummary, TotalsDiffer, export_batches
from toggl_async.export.datasets import DATASETS, Dataset
from toggl_async.export.estimate import DatasetEstimate, Estimate, QuotaEstimate, estimate
from toggl_async.export.manifest import Check, Entry, Failure, File, Manifest, MonthCheck, Refusal, Stale
from toggl_async.export.plan import DateRange, ExportPlan
from toggl_async.export.progress import (
    DatasetFinished,
    ExportEvent,
    ExportStarted,
    OnExportEvent,
    PieceFailed,
    PieceRefused,
    RangeChecked,
    RowsWritten,
)
from toggl_async.export.run import export
from toggl_async.export.sinks import FORMATS, FileFacts, Sink
from toggl_async.export.survey import Account, Workspace, survey

__all__ = [
    "DATASETS",
    "FORMATS",
    "Account",
    "Batch",
    "BatchSummary",
    "Batches",
    "Check",
    "Dataset",
    "DatasetEstimate",
    "DatasetFinished",
    "DateRange",
    "Entry",
    "Estimate",
    "ExportEvent",
    "ExportPlan",
    "ExportStarted",
    "Failure",
    "File",
    "FileFacts",
    "Manifest",
    "MonthCheck",
    "OnExportEvent",
    "PieceFailed",
    "PieceRefused",
    "QuotaEstimate",
    "RangeChecked",
    "Refusal",
    "RowsWritten",
    "Sink",
    "Stale",
    "TotalsDiffer",
    "Workspace",
    "estimate",
    "export",
    "export_batches",
    "survey",
]
