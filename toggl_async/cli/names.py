"""Names of projects and tags: looked up in an account, and kept for completion in a shell.

Completion must not wait, let alone spend a request of an hourly quota. So a command that learns names writes
them to a file for each account in the user's state directory, and completion reads that file. It may be a
little old, so it is only used for completion, and for names shown beside an answer.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import click
import msgspec
import platformdirs
from click.shell_completion import CompletionItem

from toggl_async._client.auth import Auth, auth_from_env
from toggl_async._client.gaps import known_id, known_moment
from toggl_async._hints import nearest, quoted
from toggl_async.cli.options import COMPLETION, server_url
from toggl_async.cli.output import on_one_line
from toggl_async.errors import InvalidInput
from toggl_async.records import Me, Project, Tag
from toggl_async.scheduler.core.credentials import public_name
from toggl_async.scheduler.transport import httpx

__all__ = ["KnownNames", "chosen_project", "chosen_tags", "completed", "recall", "remember"]

_MOST: Final = 5_000
"""How many projects, and how many tags, are kept."""

_ACCOUNTS: Final = 20
"""Of how many accounts; each run of the sandbox is a new one."""


class _Named(msgspec.Struct, frozen=True):
    id: int
    workspace_id: int
    name: str


class KnownNames(msgspec.Struct, frozen=True):
    """What a command learned of an account.

    Attributes:
        timezone: of the profile.
        workspace_id: in which new time entries are made.
        projects: those that are active.
        tags: those that weren't deleted.
    """

    timezone: str | None = None
    workspace_id: int | None = None
    projects: tuple[_Named, ...] = ()
    tags: tuple[_Named, ...] = ()

    @classmethod
    def of(cls, me: Me) -> "KnownNames":
        """Take what matters of an account with its related data."""
        return cls(
            timezone=me.timezone,
            workspace_id=me.default_workspace_id,
            projects=_kept(one for one in me.projects or () if _is_active(one)),
            tags=_kept(one for one in me.tags or () if not known_moment(one.deleted_at)),
        )

    def project(self, project_id: int) -> str | None:
        """Return what a project was called when it was seen."""
        return next((one.name for one in self.projects if one.id == project_id), None)


def remember(me: Me, auth: Auth, url: str) -> None:
    """Write down the names of an account; where they can't be, there are no completions."""
    path = _path(auth, url)
    fresh = path.with_suffix(f".{secrets.token_hex(4)}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with open(fresh, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(msgspec.json.encode(KnownNames.of(me)))
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
        for old in sorted(path.parent.iterdir(), key=lambda one: one.stat().st_mtime)[:-_ACCOUNTS]:
            old.unlink(missing_ok=True)


def recall(auth: Auth, url: str) -> KnownNames:
    """Return what was written down of an account, if anything."""
    try:
        return msgspec.json.decode(_path(auth, url).read_bytes(), type=KnownNames)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return KnownNames()


def _path(auth: Auth, url: str) -> Path:
    """The file of an account, whose name tells nobody the credentials."""
    name = public_name(httpx.URL(url).netloc, auth.headers()["Authorization"])
    return platformdirs.user_state_path("toggl_async", appauthor=False) / "names" / f"{name}.json"


def _kept(found: Iterable[Project | Tag]) -> tuple[_Named, ...]:
    named = (
        _Named(one.id, one.workspace_id, one.name)
        for one in found
        if one.name and known_id(one.id) and one.workspace_id is not None
    )
    return tuple(sorted(named, key=lambda one: one.name.casefold()))[:_MOST]


def chosen_project(wanted: str, found: Iterable[Project], workspace_id: int) -> Project:
    """Find a workspace's project by its name, whatever its case, or by its id.

    Raises:
        InvalidInput: there is no such project among the active ones, or there are several.
    """
    everywhere = [one for one in found if _is_active(one) and known_id(one.id)]
    active = [one for one in everywhere if one.workspace_id == workspace_id]
    for matches in (
        [one for one in active if one.name == wanted],
        [one for one in active if _is_called(one, wanted)],
        [one for one in active if str(one.id) == wanted],
    ):
        if len(matches) > 1:
            ids = ", ".join(str(one.id) for one in matches)
            raise InvalidInput(
                f"{len(matches)} projects are called {quoted(wanted)}: use the id of one ({ids})"
            )
        if matches:
            return matches[0]
    elsewhere = _workspaces(
        one for one in everywhere if _is_called(one, wanted) or str(one.id) == wanted
    ) or nearest(wanted, (one.name for one in active if one.name))
    raise InvalidInput(f"workspace {workspace_id} has no active project called {quoted(wanted)}{elsewhere}")


def chosen_tags(wanted: Iterable[str], found: Iterable[Tag], workspace_id: int) -> list[str]:
    """Find a workspace's tags by their names, whatever their case.

    Raises:
        InvalidInput: there is no such tag. Toggl would make one.
    """
    found = [one for one in found if not known_moment(one.deleted_at)]
    names = [one.name for one in found if one.name and one.workspace_id == workspace_id]
    by_lower = {name.casefold(): name for name in names}
    chosen = []
    for name in wanted:
        meant = name if name in names else by_lower.get(name.casefold())
        if meant is None:
            elsewhere = _workspaces(one for one in found if _is_called(one, name)) or nearest(name, names)
            raise InvalidInput(
                f"workspace {workspace_id} has no tag called {quoted(name)}{elsewhere} "
                f"(`toggl-async call workspace.tags.create workspace_id={workspace_id} name=…` makes one)"
            )
        chosen.append(meant)
    return list(dict.fromkeys(chosen))


def _is_active(project: Project) -> bool:
    return project.active is not False and not known_moment(project.server_deleted_at)


def _is_called(one: Project | Tag, wanted: str) -> bool:
    return (one.name or "").casefold() == wanted.casefold()


def _workspaces(found: Iterable[Project | Tag]) -> str:
    """Say in which other workspaces something is, behind a message; say nothing if in none."""
    ids = sorted({one.workspace_id for one in found if one.workspace_id is not None})
    return f"; it is in another workspace: {' or '.join(f'--workspace {one}' for one in ids)}" if ids else ""


def completed(
    kind: Callable[[KnownNames], Iterable[_Named]],
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return what completes names of a kind, from what was written down: no request, no error.

    Only those of the workspace that `start` would use: it refuses the others.
    """

    def complete(ctx: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        try:
            names = recall(auth_from_env(), server_url(ctx.params.get("base_url")))
        except InvalidInput:  # no credentials, or no valid URL of a server
            return []
        chosen = ctx.params.get("workspace") or names.workspace_id
        fitting = (
            one.name
            for one in kind(names)
            if one.workspace_id == chosen and one.name.casefold().startswith(begun.casefold())
        )
        # What a shell would take for several completions, or a terminal for an order, is left out.
        return [
            CompletionItem(_for_the_shell(name))
            for name in dict.fromkeys(fitting)
            if name == on_one_line(name)
        ]

    return complete


def _for_the_shell(name: str) -> str:
    """Escape a name for bash, which takes completions as they are; other shells quote them."""
    if not os.environ.get(COMPLETION, "").startswith("bash"):
        return name
    quoted = "".join(char if char.isalnum() or char in "-_./:@%+" else f"\\{char}" for char in name)
    # click's script has bash read the line, which takes one level of escapes away.
    return quoted.replace("\\", "\\\\")
