"""The scripts that Redis runs: one reads an account, one compares and sets. Neither contains Toggl's rules.

A value is one line and the bytes of the limits. The line begins with a tag that changes with each write, so
that the second script sees whether somebody else wrote meanwhile. The tag is followed by the names of the
holders whose life the next reader has to check: those that come first, and the one that probes. A holder is
alive if it listens on its channel.
"""

import hashlib
from typing import Final

import msgspec

from toggl_async.scheduler.core.limits import SECOND, Limits

__all__ = ["MARK", "READ", "WRITE", "Script", "StoredValue", "expiry"]

_ANSWER: Final = """
local function answer(value)
    local time = redis.call('TIME')
    if not value then return {time[1], time[2]} end
    local channels = {}
    for name in string.gmatch(string.match(value, '^[^\\n]*'), ' ([^ ]+)') do
        channels[#channels + 1] = ARGV[1] .. name
    end
    if #channels == 0 then return {time[1], time[2], value} end
    -- Not every account may ask; then nobody is known to be dead.
    local heard = redis.pcall('PUBSUB', 'NUMSUB', unpack(channels))
    if heard.err then heard = {} end
    return {time[1], time[2], value, heard}
end
"""


class Script(msgspec.Struct, frozen=True):
    """A script, and the digest that Redis knows it by."""

    text: str
    digest: str

    @classmethod
    def of(cls, text: str) -> "Script":
        """Return a script."""
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


READ: Final = Script.of(_ANSWER + "return answer(redis.call('GET', KEYS[1]))")
"""KEYS: limits. ARGV: the prefix of channels, empty to ask for no sign of life."""

WRITE: Final = Script.of(
    _ANSWER
    + """
local value = redis.call('GET', KEYS[1])
if (value and string.sub(value, 1, 16) or '') ~= ARGV[2] then return answer(value) end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
if ARGV[5] ~= '' then redis.call('SET', KEYS[2], ARGV[5], 'PX', ARGV[4]) end
for i = 6, #ARGV, 2 do redis.call('PUBLISH', ARGV[i], ARGV[i + 1]) end
return 1
"""
)
"""KEYS: limits, memories. ARGV: the prefix; the tag that the value must have, empty for no value; the new
value; milliseconds until it is forgotten; the memories, empty for those that stand there; channels and
messages."""

MARK: Final = Script.of(
    """
local time = redis.call('TIME')
local now = time[1] .. string.format('%06d', time[2])
redis.call('SET', KEYS[1], now, 'NX')
local began = redis.call('GET', KEYS[1])
if string.match(began, '^%d+$') then return began end
redis.call('SET', KEYS[1], now)
return now
"""
)
"""KEYS: the mark. Returns when this memory began, in microseconds of the server's time; now, if
the mark is damaged."""

_TAG: Final = 16
_FIRST: Final = 4
_DAY: Final = 25 * 3600 * SECOND
"""How long an account is kept that nobody uses: longer than any memory of it lasts."""


class StoredValue(msgspec.Struct, frozen=True):
    """A stored value taken apart."""

    tag: str
    limits: bytes

    @classmethod
    def of(cls, stored: bytes) -> "StoredValue":
        """Take a value apart."""
        line, _, limits = stored.partition(b"\n")
        return cls(line[:_TAG].decode("ascii", "replace"), limits)

    @staticmethod
    def made(tag: str, limits: Limits, *, ask: bool) -> bytes:
        """Return limits as they are stored, with the names that the next reader asks about."""
        names: list[str] = []
        if ask:
            waiters = limits.waiters
            names = sorted(waiters, key=lambda name: waiters[name].wakes)[:_FIRST]
            if limits.gate.probe and limits.gate.prober not in names:
                names.append(limits.gate.prober)
        return " ".join((tag, *names)).encode() + b"\n" + limits.to_bytes()


def expiry(limits: Limits, now: int) -> int:
    """Return after how many milliseconds limits may be forgotten: never before the end of what they say."""
    ends = [limits.gate.until, limits.closed, limits.slot]
    for window in limits.windows.values():
        ends += (window.reset_at or 0, *window.flying.values())
    return (max(0, max(ends) - now - limits.skew) + _DAY) // 1000
