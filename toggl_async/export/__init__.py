"""The bulk export: everything that a token can see, into files, in as few requests as it takes.

::

    async with TogglClient.from_env() as toggl:
        manifest = await export(toggl, ExportPlan(), "toggl-export")

The rows go into a mirror, ``mirror.sqlite``, and the files are written from there. `Mirror` is that database
for programs: `Mirror.refresh` brings it up to date without files, `Mirror.feed` tells what changed.

In JSON Lines each dataset is one file for all workspaces. Its rows are as Toggl sent them, byte for byte,
but for four things (`toggl_async.export.rows`): a row that names no workspace (users, clients, time
entries of reports) gets a ``workspace_id``; a time entry has the fields of its report row beside its own;
the ``row_number`` of a report is left out; fields that would let a reader in (`SECRET_FIELDS`) are null.
The other formats have the columns that `toggl_async.export.mirror.tables` declares.

Each room has one job. `plan` says what is asked for: `datasets` declares what there is, `survey` makes
the first contact, `estimate` tells what it will cost. `read` does the asking: `reading` holds the
requests together, `lists` and `entries` know what for, `update` and `edits` what may have changed,
`verify` compares with Toggl's totals. `mirror` keeps what came: `store` says what a database does for
it, `schema`, `sql`, `sqlite` and `postgres` how, `open_snapshot` how it is read, `books` count a run,
`pieces` say how far it is, `tables` declares the columns, `manifest` is what is left to show for it.
`formats` writes files from rows. `run` puts it together: `refresh` reads, `mirror` is what programs hold,
`directory` writes the files, `every` keeps either fresh, and `rounds` says what each round reads.
`batches` hands rows to programs instead; `dlt` hands a mirror to dlt.
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
