"""The sandbox, without limits, behind a proxy that adds what the peers still ask for: Reports v2.

Prints its address and token, then a line of JSON with its counts for each line that it reads.
"""

import asyncio
import datetime as dt
import json
import sys
from collections import Counter
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from toggl_async.sandbox import Sandbox, SandboxOptions, serve

V2_PAGE = 50
"""Reports v2 had pages of this size, always."""


class Proxy:
    """Answers Reports v2 from the company's state, and hands everything else to the sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.http = httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False)
        self.counts: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, each of which has no body."""
        try:
            while (line := await reader.readline()).strip():
                target = line.decode().split()[1]
                headers = {}
                while header := (await reader.readline()).decode().strip():
                    name, _, value = header.partition(": ")
                    headers[name.lower()] = value
                self.counts[urlsplit(target).path] += 1
                status, body = await self._answer(target, headers.get("authorization", ""))
                head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
                writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        finally:
            writer.close()

    async def _answer(self, target: str, authorization: str) -> tuple[int, bytes]:
        url = urlsplit(target)
        if url.path == "/reports/api/v2/details":
            return HTTPStatus.OK, json.dumps(self._details(parse_qs(url.query))).encode()
        answer = await self.http.get(target, headers={"Authorization": authorization})
        return answer.status_code, answer.content

    def _details(self, query: dict[str, list[str]]) -> dict[str, Any]:
        first, last = (dt.date.fromisoformat(query[name][0]) for name in ("since", "until"))
        rows = [
            entry
            for entry in self.sandbox.company.reported(int(query["workspace_id"][0]))
            if first <= dt.datetime.fromtimestamp(entry.start, dt.UTC).date() <= last
        ]
        begin = max(0, int(query.get("page", ["1"])[0]) - 1) * V2_PAGE
        data = [
            {
                "id": entry.id,
                "uid": entry.user_id,
                "pid": entry.project_id,
                "description": entry.description,
                "dur": 1000 * (entry.seconds or 0),
                "updated": dt.datetime.fromtimestamp(entry.changed / 1e6, dt.UTC).isoformat(),
                "start": dt.datetime.fromtimestamp(entry.start, dt.UTC).isoformat(),
            }
            for entry in rows[begin : begin + V2_PAGE]
        ]
        return {"total_count": len(rows), "per_page": V2_PAGE, "data": data}


async def main() -> None:
    """Run until stdin ends."""
    async with serve(SandboxOptions(interval=0.0, org_quota=1e9, user_quota=1e9)) as sandbox:
        proxy = Proxy(sandbox)
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        entries = len(sandbox.company.dataset("time_entries"))
        print(f"http://127.0.0.1:{port}", sandbox.base_url, sandbox.api_token, entries, flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            told = {"requests": proxy.counts.total(), "sandbox": sandbox.counts.requests}
            print(json.dumps(told), flush=True)
            proxy.counts.clear()
        server.close()
        await proxy.http.aclose()


if __name__ == "__main__":
    asyncio.run(main())
