"""Drives toggl_async: everything that the token can see, as JSON Lines, with the options it has by default.

Only timeouts are longer: what a server computes is not scaled, and would count `speed` times over.
"""

from export_peers import driving
from toggl_async import ApiToken, ClientOptions, TogglClient
from toggl_async.export import ExportPlan, export
from toggl_async.sandbox import fast_loop


async def main(job: driving.Job) -> None:
    """Export everything."""
    options = ClientOptions(timeout=60.0 * job.speed)
    async with TogglClient(ApiToken(job.token), base_url=job.url, options=options) as toggl:
        await export(toggl, ExportPlan(), job.into)


if __name__ == "__main__":
    job = driving.read_job()
    driving.conclude(lambda: fast_loop.run(main(job), speed=job.speed))
