"""Gives CEL's checker the types of a schema, as message types made on the fly.

Only the checker uses them: rules are evaluated over plain maps, where an absent field is absent and
not a protobuf default.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

from cel_expr_python import cel
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)

from anomaly_operator.devcluster.apiserver.cel.names import cel_name
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode

_F = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "schema"
_WELL_KNOWN = (timestamp_pb2, duration_pb2, struct_pb2, any_pb2, wrappers_pb2, empty_pb2)
_DYNAMIC = (_F.TYPE_MESSAGE, ".google.protobuf.Value")
_SCALARS = {
    "boolean": (_F.TYPE_BOOL, ""),
    "integer": (_F.TYPE_INT64, ""),
    "number": (_F.TYPE_DOUBLE, ""),
}
_FORMATTED = {
    "date-time": (_F.TYPE_MESSAGE, ".google.protobuf.Timestamp"),
    "date": (_F.TYPE_MESSAGE, ".google.protobuf.Timestamp"),
    "duration": (_F.TYPE_MESSAGE, ".google.protobuf.Duration"),
    "byte": (_F.TYPE_BYTES, ""),
}
FieldType = tuple[int, str]


class DeclaredTypes:
    """A descriptor pool with a message type for each object in a schema."""

    def __init__(self, schema: SchemaNode) -> None:
        self._numbers = itertools.count(1)
        self._file = descriptor_pb2.FileDescriptorProto(
            name="schema.proto", package=_PACKAGE, syntax="proto3"
        )
        self._file.dependency.extend(_file_of(module).name for module in _WELL_KNOWN)
        self.type = self._cel_type(schema)
        self.pool = descriptor_pool.DescriptorPool()
        for module in _WELL_KNOWN:
            self.pool.Add(_file_of(module))
        self.pool.Add(self._file)

    def _cel_type(self, schema: SchemaNode) -> Any:
        """Return the CEL type of a value that a rule calls self."""
        kinds = {"string": cel.Type.STRING, "boolean": cel.Type.BOOL}
        kinds |= {"integer": cel.Type.INT, "number": cel.Type.DOUBLE}
        if schema.int_or_string or not schema.type:
            return cel.Type.DYN
        if schema.type == "array":
            return cel.Type.List(self._cel_type(schema.items or SchemaNode()))
        if schema.type == "object" and schema.additional is not None and not schema.properties:
            return cel.Type.Map(cel.Type.STRING, self._cel_type(schema.additional))
        if schema.type == "object":
            return cel.Type(f"{_PACKAGE}.{self._message(schema)}")
        formatted = {
            "date-time": cel.Type.TIMESTAMP,
            "date": cel.Type.TIMESTAMP,
            "duration": cel.Type.DURATION,
            "byte": cel.Type.BYTES,
        }
        return formatted.get(str(schema.limits.get("format")), kinds[schema.type])

    def _message(self, schema: SchemaNode) -> str:
        message = self._file.message_type.add(name=f"Object{next(self._numbers)}")
        name = str(message.name)
        for field, child in schema.properties.items():
            identifier = cel_name(field)
            if identifier is None or (child.preserve and child.type != "object"):
                continue
            self._add_field(message, identifier, child)
        return name

    def _add_field(self, message: Any, name: str, schema: SchemaNode) -> None:
        added = message.field.add(
            name=name, number=len(message.field) + 1, json_name=f"{name}#{len(message.field)}"
        )
        added.label = _F.LABEL_OPTIONAL
        if schema.type == "array" and not schema.int_or_string:
            inner = schema.items or SchemaNode()
            if inner.type == "array" or _is_map(inner):
                # Protobuf has no list of lists; the elements' own rules still see their types.
                added.type, added.type_name = _F.TYPE_MESSAGE, ".google.protobuf.ListValue"
                return
            added.label = _F.LABEL_REPEATED
            _set_type(added, self._field_type(inner))
        elif _is_map(schema):
            self._add_map(message, added, schema.additional or SchemaNode())
        else:
            _set_type(added, self._field_type(schema))

    def _add_map(self, message: Any, added: Any, value: SchemaNode) -> None:
        if value.type == "array" or _is_map(value):
            added.type, added.type_name = _F.TYPE_MESSAGE, ".google.protobuf.Struct"
            return
        # The nested name protobuf requires of a map field's entry: its name in camel case.
        entry_name = (
            "".join(part[:1].upper() + part[1:] for part in added.name.split("_")) + "Entry"
        )
        entry = message.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        key = entry.field.add(name="key", number=1, label=_F.LABEL_OPTIONAL)
        key.type = _F.TYPE_STRING
        inner = entry.field.add(name="value", number=2, label=_F.LABEL_OPTIONAL)
        _set_type(inner, self._field_type(value))
        added.label, added.type = _F.LABEL_REPEATED, _F.TYPE_MESSAGE
        added.type_name = f".{_PACKAGE}.{message.name}.{entry_name}"

    def _field_type(self, schema: SchemaNode) -> FieldType:
        if schema.int_or_string or not schema.type:
            return _DYNAMIC
        if schema.type == "object":
            return _F.TYPE_MESSAGE, f".{_PACKAGE}.{self._message(schema)}"
        if schema.type == "string":
            return _FORMATTED.get(str(schema.limits.get("format")), (_F.TYPE_STRING, ""))
        return _SCALARS[schema.type]


def _is_map(schema: SchemaNode) -> bool:
    return schema.type == "object" and schema.additional is not None and not schema.properties


def _set_type(field: Any, kind: FieldType) -> None:
    field.type = kind[0]
    if kind[1]:
        field.type_name = kind[1]


@functools.cache
def _file_of(module: Any) -> Any:
    described = descriptor_pb2.FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(described)
    return described
