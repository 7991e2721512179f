"""Step two: decide what there will be, from the documents and the tables.

Whatever does not fit together becomes a `Violation`; with faults there is nothing to write.
"""

import keyword
from collections.abc import Iterable, Iterator, Mapping

import attrs

from codegen.load import Specification, Violation
from codegen.model import (
    Either,
    LibraryPlan,
    ListOf,
    MapOf,
    Nullable,
    OperationPlan,
    RecordModule,
    RecordPlan,
    RecordRef,
    ResourcePlan,
    ScopeModule,
    SpecType,
)
from codegen.operations import Operations, described
from codegen.schemas import Schemas

__all__ = ["plan"]

_RECORD_ATTRIBUTES = frozenset({"legacy_names", "unknown", "wire_names", "wraps"})
"""What the base of all records has already."""

_ANNOTATION_WORDS = frozenset(
    {
        "ClassVar", "Json", "Literal", "Mapping", "Moment", "Record", "UNSET", "UnsetType", "attrs", "bool",
        "bytes", "dict", "dt", "float", "int", "list", "str",
    }
)  # fmt: skip
"""What annotations are written with; nothing else may have such a name beside them."""

_MODULE_WORDS = frozenset(
    {
        "Collection", "Download", "FileContent", "Form", "HeaderPages", "Keyset", "Lane", "MappedPages",
        "Offset", "Operation", "PageNumber", "Pages", "Plan", "ReportCursor", "Resource", "Sequence", "Token",
        "TYPE_CHECKING", "WrappedPages", "builtins", "cached_property",
    }
)  # fmt: skip
"""What a module of resources imports besides records; see `emit_scopes`."""

_CALL_WORDS = frozenset(
    {
        "self", "UNSET", "any_number", "date_range", "day", "day_or_moment", "each", "each_of",
        "each_or_null", "each_typed", "entry_seconds", "from_one", "id_list", "moment", "one_flag", "one_id",
        "one_text", "patch_list", "text_list", "typed", "unix_seconds", "whole_number",
    }
)  # fmt: skip
"""What the body of a coroutine is written with."""


@attrs.define
class _Work:
    """What is gathered on the way."""

    faults: list[Violation]
    operations: dict[str, tuple[OperationPlan, str]] = attrs.field(factory=dict)
    """Name to plan and document."""
    records: dict[str, tuple[RecordPlan, str]] = attrs.field(factory=dict)


def plan(source: Specification) -> tuple[LibraryPlan, tuple[Violation, ...]]:
    """Plan everything, and say what is wrong."""
    work = _Work(list(source.faults))
    _gather(source, work)
    result = LibraryPlan(
        records=tuple(_record_modules(source, work)), scopes=tuple(_scope_modules(source, work))
    )
    work.faults += [*_bad_fields(result), *_bad_arguments(result), *_bad_classes(result)]
    return result, tuple(sorted(set(work.faults)))


def _gather(source: Specification, work: _Work) -> None:
    """Plan operations and records, document by document."""
    bound = {name: scope.bound for name, scope in source.names.scopes.items()}
    seen: set[str] = set()
    for document in source.documents:
        schemas = Schemas(document, source.names, work.faults)
        planner = Operations(schemas, bound, work.faults)
        for method, path, item, operation in described(document.api.paths or {}):
            key = f"{method} {path}"
            seen.add(key)
            named = source.names.of(key)
            if named is None:
                work.faults.append(Violation(key, "has no name in names.toml"))
                continue
            if named.name in work.operations:
                work.faults.append(Violation(key, f"the name {named.name} is taken"))
            work.operations[named.name] = planner.plan(method, path, item, operation, named), document.name
        for name in sorted(schemas.reached):
            if schemas.is_lent(name):
                continue
            if name in work.records:
                work.faults.append(Violation(name, f"stands in {work.records[name][1]} too"))
            record = schemas.record(name)
            if record is not None:
                work.records[name] = record, document.name
    work.faults += [
        Violation(key, "is named, but in no document") for key in source.names.operations if key not in seen
    ]


def _record_modules(source: Specification, work: _Work) -> Iterator[RecordModule]:
    """File the records as names.toml says."""
    filed = {name: module for module, records in source.names.records.items() for name in records}
    work.faults += [
        Violation(name, "is in no module of records") for name in work.records if name not in filed
    ]
    needs: dict[str, set[str]] = {}
    for module, names in source.names.records.items():
        work.faults += [
            Violation(name, "is named, but no operation uses it")
            for name in names
            if name not in work.records
        ]
        records = [work.records[name] for name in names if name in work.records]
        before: set[str] = set()
        imports: dict[str, set[str]] = {}
        for record, _ in records:
            for used in _records_in(record):
                home = filed.get(used)
                if home == module and used not in before and used != record.name:
                    work.faults.append(Violation(record.name, f"must stand after {used}, which it holds"))
                if home is not None and home != module:
                    imports.setdefault(home, set()).add(used)
            before.add(record.name)
        needs[module] = set(imports)
        yield RecordModule(
            name=module,
            records=tuple(record for record, _ in records),
            imports={home: tuple(sorted(used)) for home, used in sorted(imports.items())},
            documents=tuple(sorted({document for _, document in records})),
        )
    work.faults += _cycles(needs)


def _cycles(needs: Mapping[str, set[str]]) -> Iterator[Violation]:
    """Report modules that import each other: taken away layer by layer, they are what stays."""
    left = {module: set(used) for module, used in needs.items()}
    while free := {module for module, used in left.items() if not used & left.keys()}:
        left = {module: used for module, used in left.items() if module not in free}
    for module in left:
        yield Violation(f"records.{module}", f"is in a circle of imports with {', '.join(sorted(left))}")


def _scope_modules(source: Specification, work: _Work) -> Iterator[ScopeModule]:
    """File the operations under their scopes and resources as names.toml says."""
    resources = dict(_resources(source, work))
    modules: dict[str, list[ResourcePlan]] = {}
    for resource in resources.values():
        modules.setdefault(resource.module, []).append(resource)
    for name, held in modules.items():
        documents = {work.operations[one.name][1] for resource in held for one in resource.operations}
        yield ScopeModule(
            name=name,
            resources=tuple(held),
            documents=tuple(sorted(documents)),
            is_package=any(other.startswith(f"{name}.") for other in modules),
        )


def _resources(source: Specification, work: _Work) -> Iterator[tuple[str, ResourcePlan]]:
    """Plan scopes and resources, each with its operations in the order of names.toml."""
    table = {path: (one.class_name, path, one.summary) for path, one in source.names.scopes.items()}
    table |= {path: (one.class_name, one.module, one.summary) for path, one in source.names.resources.items()}
    held: dict[str, list[OperationPlan]] = {path: [] for path in table}
    for key in source.names.operations:
        named = source.names.of(key)
        if named is None or named.name not in work.operations:
            continue
        home = named.name.rpartition(".")[0]
        if home in held:
            held[home].append(work.operations[named.name][0])
        else:
            work.faults.append(Violation(key, f"there is no scope or resource {home!r}"))
    for path, (class_name, module, summary) in table.items():
        parent = path.rpartition(".")[0]
        if parent and parent not in table:
            work.faults.append(Violation(path, f"there is no scope or resource {parent!r}"))
        yield (
            path,
            ResourcePlan(
                path=path,
                class_name=class_name,
                module=module,
                summary=summary,
                operations=tuple(held[path]),
                children=tuple(one for one in table if one.rpartition(".")[0] == path),
            ),
        )


def _records_in(record: RecordPlan) -> Iterator[str]:
    for field in record.fields:
        yield from _references(field.type)


def _references(form: SpecType) -> Iterator[str]:
    """Name the records in a type."""
    match form:
        case RecordRef(record):
            yield record
        case ListOf(inner) | MapOf(inner) | Nullable(inner):
            yield from _references(inner)
        case Either(options):
            for option in options:
                yield from _references(option)


def _bad_fields(result: LibraryPlan) -> Iterator[Violation]:
    """Report fields that Python, the base class or the annotations beside them cannot live with.

    A field called ``list`` beside another annotated ``list[str]`` breaks the moment that the
    annotations are resolved.
    """
    records = frozenset(result.record_modules())
    for module in result.records:
        for record in module.records:
            taken = _ANNOTATION_WORDS | _RECORD_ATTRIBUTES | records
            yield from _bad_names(record.name, (field.name for field in record.fields), taken)


def _bad_arguments(result: LibraryPlan) -> Iterator[Violation]:
    """Report arguments and coroutines that cannot be written as such."""
    for operation in result.operations:
        body = operation.body.arguments if operation.body else ()
        arguments = [*operation.ids, *operation.query, *(one for one in body if one.bound is None)]
        yield from _bad_names(operation.name, (one.name for one in arguments), _CALL_WORDS)
    for module in result.scopes:
        for resource in module.resources:
            members = [name for one in resource.operations for name in one.methods]
            members += [one.walker for one in resource.operations if one.paging]
            members += [child.rpartition(".")[2] for child in resource.children]
            yield from _bad_names(resource.path, members, _ANNOTATION_WORDS - {"list"})


def _bad_classes(result: LibraryPlan) -> Iterator[Violation]:
    """Report classes of resources that would hide a record, or each other, in the module that holds them."""
    taken = frozenset(result.record_modules()) | _ANNOTATION_WORDS | _CALL_WORDS | _MODULE_WORDS
    for module in result.scopes:
        names = (resource.class_name for resource in module.resources)
        yield from _bad_names(f"scopes.{module.name}", names, taken)


def _bad_names(where: str, names: Iterable[str], taken: frozenset[str]) -> Iterator[Violation]:
    seen: set[str] = set()
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            yield Violation(f"{where}.{name}", "is no name for Python: rename it in names.toml")
        if name in taken:
            yield Violation(
                f"{where}.{name}", "would shadow a name that the code needs: rename it in names.toml"
            )
        if name in seen:
            yield Violation(f"{where}.{name}", "is there twice")
        seen.add(name)
