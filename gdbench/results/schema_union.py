"""Concatenation of tables whose columns differ in type; a column without a common type becomes text."""

from __future__ import annotations

import datetime
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

__all__ = [
    *("DICTIONARY", "MixedTypes", "concat_tables", "convert_column", "decode_dictionary"),
    *("find_common_type", "get_column_or_null", "get_value_type"),
]

DICTIONARY = pa.dictionary(pa.int32(), pa.string())
"""Dictionary-encoded text: each distinct text once, and a code per row."""
MAX_EXACT_INTEGER = 2**53
"""Integers below this are exact in float64."""
NULL_TYPE = pa.null()


class MixedTypes(UserWarning):
    """A column has values of several types, and is read as text."""


def concat_tables(tables: Sequence[pa.Table], kinds: Mapping[str, Any] | None = None) -> pa.Table:
    """All rows of several tables as one table, with null where a table lacks a column.

    A column has the type in ``kinds``, else the common type of all tables; where there is none it is text, with a
    warning. Dictionary-encoded text stays encoded.
    """
    if len(tables) == 1 and kinds is None:
        return tables[0]
    mixed: dict[str, set[Any]] = {}
    columns = {}
    held = [dict(zip(table.column_names, table.columns, strict=True)) for table in tables]
    nulls = [pa.chunked_array([pa.nulls(table.num_rows)]) for table in tables]
    for name in dict.fromkeys(name for part in held for name in part) if kinds is None else kinds:
        parts = [part.get(name, null) for part, null in zip(held, nulls, strict=True)]
        kind = None if kinds is None else kinds[name]
        columns[name], is_mixed = _concat_columns(parts, kind)
        if is_mixed and kind is None:
            mixed[name] = {get_value_type(part.type) for part in parts} - {NULL_TYPE}
    if mixed:
        warnings.warn(_describe_mixed(mixed), MixedTypes, stacklevel=3)
    return pa.table(columns).unify_dictionaries()


def get_column_or_null(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Column of a table, null in all rows where it has none of that name."""
    place = table.schema.get_field_index(name)
    return table.column(place) if place >= 0 else pa.chunked_array([pa.nulls(table.num_rows)])


def _concat_columns(parts: Sequence[pa.ChunkedArray], kind: Any) -> tuple[pa.ChunkedArray, bool]:
    """Parts of a column as one, and whether they are text because their types differ."""
    stored = {get_value_type(part.type) for part in parts}
    wanted = find_common_type(stored) if kind is None else kind
    try:
        is_mixed = wanted == pa.string() and len(stored - {NULL_TYPE}) > 1
        return _chain_chunks([convert_column(part, wanted) for part in parts], wanted), is_mixed
    except pa.ArrowInvalid:  # a whole number that float64 cannot hold
        return _chain_chunks([convert_column(part, pa.string()) for part in parts], pa.string()), True


def _chain_chunks(parts: Sequence[pa.ChunkedArray], kind: Any) -> pa.ChunkedArray:
    if kind == pa.string() and any(pa.types.is_dictionary(part.type) for part in parts):
        parts, kind = [_encode_dictionary(part) for part in parts], DICTIONARY
    return pa.chunked_array([chunk for part in parts for chunk in part.chunks], kind)


def _encode_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return (
        column.cast(DICTIONARY) if pa.types.is_dictionary(column.type) else column.dictionary_encode().cast(DICTIONARY)
    )


def _describe_mixed(mixed: Mapping[str, Iterable[Any]]) -> str:
    held = [f"{name} ({', '.join(sorted(map(str, kinds)))})" for name, kinds in mixed.items()]
    return f"values of several kinds are read as text: {'; '.join(held)}."


# ---------------------------------------------------------------------------------------------------------- kinds


def get_value_type(kind: Any) -> Any:
    """Type of a column's values, without dictionary encoding; all layouts of text are ``string``."""
    if pa.types.is_dictionary(kind):
        return get_value_type(kind.value_type)
    return pa.string() if pa.types.is_large_string(kind) or kind == pa.string_view() else kind


def find_common_type(kinds: Iterable[Any]) -> Any:
    """Type that can hold the values of all these types; text where there is none."""
    left = set(kinds) - {NULL_TYPE}
    if len(left) <= 1:
        return next(iter(left), NULL_TYPE)
    if any(map(_is_text_or_bytes, left)):  # Arrow would make bytes of texts
        return pa.string()
    try:
        schemas = [pa.schema([("values", kind)]) for kind in sorted(left, key=str)]
        return pa.unify_schemas(schemas, promote_options="permissive").field("values").type
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return pa.string()


def _is_text_or_bytes(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


# --------------------------------------------------------------------------------------------------------- values


def convert_column(column: pa.ChunkedArray, kind: Any) -> pa.ChunkedArray:
    """Column in another type; encoded text stays encoded. ArrowInvalid where a value would change."""
    if column.type == kind:
        return column
    if get_value_type(column.type) == kind:
        return column if kind == pa.string() and pa.types.is_dictionary(column.type) else column.cast(kind)
    if kind == pa.string() and not pa.types.is_null(column.type):
        return _convert_to_text(decode_dictionary(column))
    return decode_dictionary(column).cast(kind)


def decode_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Column without dictionary encoding."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _convert_to_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values of any type as text; each distinct one is formatted once."""
    try:
        coded = column.combine_chunks().dictionary_encode()
    except pa.ArrowNotImplementedError:  # lists and structs
        return _encode_dictionary(
            pa.chunked_array([pa.array([_format_value(value) for value in column.to_pylist()], pa.string())])
        )
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    words = pa.array([_format_value(value) for value in coded.dictionary.to_pylist()], pa.string())
    # By way of the rows: two numbers that are equal, 1 and 1.0, have one text.
    return _encode_dictionary(pa.chunked_array([words.dictionary_encode()]).take(coded.indices))


def _format_value(value: Any) -> str | None:
    """Value as a user would type it; equal numbers have equal texts."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_EXACT_INTEGER:
        return str(int(value))
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    return json.dumps(value, default=str)
