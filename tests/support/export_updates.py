"""Updates of a made-up company's export, and what they have to equal."""

from pathlib import Path
from typing import Any

from support.export_company import Company
from support.export_written import everything
from toggl_async import ApiToken, ClientOptions, Pace, TogglClient
from toggl_async.export import ExportPlan, Manifest, export

OPTIONS = ClientOptions(pace=Pace(interval=0.001))


async def run(
    company: Company, directory: Path, form: str = "jsonl", plan: ExportPlan | None = None, **options: Any
) -> Manifest:
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        return await export(
            client, plan or ExportPlan(), directory, format=form, **{"update": True, **options}
        )


async def equals_a_fresh_export(company: Company, directory: Path, form: str = "jsonl") -> None:
    fresh = directory.with_name(directory.name + "-fresh")
    await run(company, fresh, form)
    assert everything(directory, form) == everything(fresh, form)
