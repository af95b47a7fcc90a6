"""Create protobuf message classes from tables of fields, to read parts of TensorFlow's formats without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Message: TypeAlias = Any
"""A message of a class that `message_class` made: its fields are known when it runs."""
MessageClass: TypeAlias = Any

Fields = Mapping[str, Sequence[tuple[str, int, str, bool]]]
"""Message -> (field, number, type, repeated). A map is written as a repeated entry of key and value. Fields that are
not listed are preserved in a message, but not parsed."""


def message_class(package: str, root: str, fields: Fields) -> MessageClass:
    """Returns the class of the message `root`. A process may create a package only once: cache the result."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field_types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for message_name, rows in fields.items():
        message = file.message_type.add(name=message_name)
        for name, number, kind, repeated in rows:
            label = field_types.LABEL_REPEATED if repeated else field_types.LABEL_OPTIONAL
            field = message.field.add(name=name, number=number, label=label)
            if kind in fields:
                field.type, field.type_name = field_types.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                field.type = field_types.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{root}"))
