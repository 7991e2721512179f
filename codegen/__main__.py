"""``python -m codegen``: write records, scopes, the front's stub and the documents for the sandbox.

With ``--check``, only say whether they are fresh.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from codegen.emit import emit, formatted, stale, write
from codegen.emit_front import front_files
from codegen.emit_sandbox import sandbox_files
from codegen.load import load
from codegen.plan import plan

__all__ = ["main"]

_FOLDER = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the generator; return 0 when all is well, 1 when files are stale, 2 for faults."""
    parser = argparse.ArgumentParser(prog="python -m codegen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when files are stale")
    parser.add_argument("--spec", type=Path, default=_FOLDER, help="folder with spec/ and the tables")
    parser.add_argument(
        "--package", type=Path, default=_FOLDER.parent / "toggl_async", help="the package to write to"
    )
    chosen = parser.parse_args(arguments)

    source = load(chosen.spec)
    result, faults = plan(source)
    if faults:
        print(*(f"fault: {fault}" for fault in faults), sep="\n", file=sys.stderr)
        return 2
    files = emit(result) | dict(sandbox_files(source)) | formatted(dict(front_files(result, chosen.package)))
    if chosen.check:
        differing = stale(files, chosen.package)
        print(*(f"stale: {path}" for path in differing), sep="\n", end="\n" if differing else "")
        return 1 if differing else 0
    write(files, chosen.package)
    print(f"{len(files)} files, {len(result.operations)} operations, {len(result.record_modules())} records")
    return 0


if __name__ == "__main__":
    sys.exit(main())
