"""A server with an hourly quota, whose hours are short, and a strict bucket of one request."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class QuotaServer:
    """Answers an empty list, and says what is left.

    Args:
        share: requests that a window allows.
        window: its length in seconds.
        interval: seconds between two requests that the bucket lets through.
    """

    def __init__(self, share: int, window: float, interval: float = 0.1) -> None:
        self.answered = self.refused = self.throttled = 0
        self._left, self._resets_at = share, 0.0
        self._last = 0.0
        guard = threading.Lock()

        def judge() -> tuple[int, int, float]:
            with guard:
                now = time.monotonic()
                if now >= self._resets_at:
                    self._left, self._resets_at = share, now + window
                too_soon, self._last = now - self._last < interval - 0.005, now
                if too_soon:
                    self.throttled += 1
                    return 429, self._left, self._resets_at - now
                if not self._left:
                    self.refused += 1
                    return 402, 0, self._resets_at - now
                self._left -= 1
                self.answered += 1
                return 200, self._left, self._resets_at - now

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, left, resets_in = judge()
                body = b"[]"
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("X-Toggl-Quota-Remaining", str(left))
                self.send_header("X-Toggl-Quota-Resets-In", str(int(resets_in) + 1))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its own names
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
