"""Prism, a contract server that others wrote, on our own documents.

It checks each request against the document and makes its answer from the schemas. `prism` has to be
on the PATH: package-lock.json beside this file pins it, and ``nox -s contract`` brings it along.
"""

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

__all__ = ["METHODS", "merged", "serving"]

METHODS = ("get", "post", "put", "patch", "delete")
LISTENING = re.compile(r"listening on (http://[\d.:]+)")
STARTING = 30.0
"""Seconds that Prism may be silent before it listens; two are usual."""


def merged(folder: Path) -> dict[str, Any]:
    """Make one document of all of a folder, because a client knows one server.

    Components are called ``document.Name``. Bodies are closed: a field that the document does not
    name would pass otherwise, and a misspelt one go unnoticed.
    """
    paths: dict[str, Any] = {}
    components: dict[str, dict[str, Any]] = {}
    for file in sorted(folder.glob("*.yaml")):
        document = yaml.safe_load(file.read_text("utf-8"))
        _qualify(document, file.stem)
        assert paths.keys().isdisjoint(document["paths"])
        paths |= document["paths"]
        for kind, named in document["components"].items():
            prefix = "" if kind == "securitySchemes" else f"{file.stem}."
            components.setdefault(kind, {}).update({prefix + name: one for name, one in named.items()})
    for path in paths.values():
        for method in path.keys() & METHODS:
            for body in path[method].get("requestBody", {}).get("content", {}).values():
                body["schema"]["unevaluatedProperties"] = False
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",  # Prism assumes draft 7
        "info": {"title": "All documents", "version": "1"},
        "security": [{name: []} for name in components["securitySchemes"]],
        "paths": paths,
        "components": components,
    }


def _qualify(node: Any, home: str) -> None:
    """Let references lead to ``document.Name``, whether to another document or within this one.

    Defaults of lists go: Prism would answer with them, and a page without items is not the whole test.
    Maps by id get one: Prism makes up names of letters, whatever pattern they have to match.
    """
    if isinstance(node, list):
        for one in node:
            _qualify(one, home)
    elif isinstance(node, dict):
        if node.get("default") == []:
            del node["default"]
        if "propertyNames" in node:
            assert re.search(node.pop("propertyNames")["pattern"], "1")
            node["properties"] = {"1": node["additionalProperties"]}
            node["additionalProperties"] = False
        if isinstance(node.get("$ref"), str):
            document, _, pointer = node["$ref"].partition("#")
            folder, _, name = pointer.rpartition("/")
            node["$ref"] = f"#{folder}/{document.removesuffix('.yaml') or home}.{name}"
        for one in node.values():
            _qualify(one, home)


@contextmanager
def serving(document: dict[str, Any], folder: Path) -> Iterator[str]:
    """Run Prism on a free port of this machine and yield its address.

    ``--errors`` makes it refuse what violates the document, its own answers included.
    """
    prism = shutil.which("prism")
    assert prism is not None, "no prism on the PATH: run `nox -s contract`"
    file = folder / "merged.json"
    file.write_text(json.dumps(document, default=str), "utf-8")
    # A session of its own, because some installations of Node start it from a script.
    process = subprocess.Popen(
        [prism, "mock", "--port", "0", "--errors", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    assert process.stdout is not None
    said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_pass_on, args=(process.stdout, said))
    reader.start()
    try:
        yield _address(said)
    finally:
        with suppress(ProcessLookupError):  # when it did not even start
            os.killpg(process.pid, signal.SIGKILL)  # it has nothing to save
        process.wait()
        reader.join()
        process.stdout.close()


def _pass_on(lines: Iterable[str], said: "queue.SimpleQueue[str | None]") -> None:
    """Pass on what Prism says, to the end, so that it never waits for a reader; then None."""
    for line in lines:
        said.put(line)
    said.put(None)


def _address(said: "queue.SimpleQueue[str | None]") -> str:
    """Wait until Prism says where it listens."""
    heard = []
    with suppress(queue.Empty):
        while (line := said.get(timeout=STARTING)) is not None:
            heard.append(line)
            if found := LISTENING.search(line):
                return found[1]
    raise AssertionError(f"Prism did not start:\n{''.join(heard)[-2000:]}")
