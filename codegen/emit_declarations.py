"""Part of step three: the constants by which operations are declared."""

import textwrap

from codegen.model import OperationPlan
from codegen.text import WIDTH, answer_type, filled

__all__ = ["constant_name", "declaration"]


def constant_name(operation: OperationPlan, several: bool) -> str:
    """Name the constant: with its resource, where a module holds several."""
    parts = operation.name.split(".")[1:]
    return "_" + "_".join(parts if several else parts[-1:]).upper()


def declaration(operation: OperationPlan, several: bool) -> str:
    """Write the declaration of an operation."""
    result = answer_type(operation.result)
    facts = {
        "lane": f"Lane.{operation.lane.upper()}" if operation.lane else "",
        "reads": "" if operation.reads is None else str(operation.reads),
        "paging": _paging(operation),
        "plan": "" if operation.plan == "free" else f"Plan.{operation.plan.upper()}",
        "workspaces": "" if operation.workspaces is None else f'"{operation.workspaces}"',
        "redirects": "True" if operation.redirects else "",
        "documented": "" if operation.documented is None else f'"{operation.documented}"',
        "secret": "True" if operation.secret else "",
        "deprecated": "" if operation.deprecated is None else f'"{operation.deprecated}"',
        "gated": _gated(operation),
    }
    given = [
        f'"{operation.name}"',
        f'"{operation.method} {operation.path}"',
        *([] if result == "None" else [result]),
    ]
    given += [f"{key}={value}" for key, value in facts.items() if value]
    name = constant_name(operation, several)
    # A checker reads the type off the result where that is a class.
    if result in {"None", "Json"} or "|" in result:
        name += f": Operation[{result}]"
    return _laid_out(name, given)


def _laid_out(name: str, given: list[str]) -> str:
    """Lay a declaration out: filled where the formatter would give each of its facts a line."""
    inside = ", ".join(given)
    line = f"{name} = Operation.declare({inside})"
    if "\n" not in inside and min(len(line), len(inside) + 4) <= WIDTH:
        return line
    last = f"\n    {given.pop()}," if "\n" in given[-1] else ""
    return f"{name} = Operation.declare(\n{filled(given, 4)}{last}\n)  # fmt: skip"


def _gated(operation: OperationPlan) -> str:
    """Write which fields need a plan of their own: a line a plan, not a line a field."""
    gates = []
    for plan, names in operation.gated.items():
        *pieces, last = textwrap.wrap(" ".join(names), WIDTH - 30)
        fields = "\n        ".join((*(f'"{piece} "' for piece in pieces), f'"{last}"'))
        gates.append(f"Plan.{plan.upper()}: {fields}")
    alone = f"{{{', '.join(gates)}}}" if gates else ""
    if "\n" not in alone and len(f"    gated={alone},") <= WIDTH:
        return alone
    return "\n        ".join(("{", *(f"{gate}," for gate in gates))) + "\n    }"


def _paging(operation: OperationPlan) -> str:
    if operation.paging is None:
        return ""
    options = ", ".join(
        f'{key}="{value}"' if isinstance(value, str) else f"{key}={value}"
        for key, value in operation.paging.options
    )
    return f"{operation.paging.scheme}({options})"
