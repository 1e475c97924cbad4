"""What the server answers when it will not do as asked: a metav1.Status with Kubernetes' wording.

Clients read the text (``kubectl`` prints it), the reason (client libraries branch on it) and the
causes (``kubectl`` and people find the field by it), so all three are imitated.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from anomaly_operator.devcluster.apiserver.documents import Document


@dataclass(frozen=True, slots=True)
class Cause:
    """One wrong field: ``reason`` is a metav1.CauseType, ``text`` what stands after the path."""

    field: str
    reason: str
    text: str

    def __str__(self) -> str:
        return f"{self.field}: {self.text}"


class Refusal(Exception):
    """An answer that is not the object asked for; carries everything metav1.Status holds."""

    def __init__(
        self,
        code: int,
        reason: str,
        *,
        message: str,
        details: Document | None = None,
    ) -> None:
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        super().__init__(message)

    def status(self) -> Document:
        """Return the metav1.Status document of this refusal."""
        document: Document = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if not self.reason:
            del document["reason"]
        if self.details is not None:
            document["details"] = self.details
        document["code"] = self.code
        return document


def qualified(resource: str, group: str) -> str:
    """Return ``pods`` or ``deployments.apps``: how messages name a resource."""
    return f"{resource}.{group}" if group else resource


def _details(name: str, group: str, kind: str) -> Document:
    details: Document = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in details.items() if value}


def not_found(resource: str, group: str, *, name: str) -> Refusal:
    """No object of that name."""
    return Refusal(
        404,
        "NotFound",
        message=f'{qualified(resource, group)} "{name}" not found',
        details=_details(name, group, resource),
    )


class NoSuchPage(Refusal):
    """Nothing is at the path, and nobody who speaks of resources was asked: a bare web page."""

    def __init__(self) -> None:
        super().__init__(404, "NotFound", message="404 page not found\n")


def no_such_path() -> Refusal:
    """No resource of a built-in group is served at the path."""
    return Refusal(
        404,
        "NotFound",
        message="the server could not find the requested resource",
        details={},
    )


def already_exists(resource: str, group: str, *, name: str, ending: bool = False) -> Refusal:
    """Create found an object of that name, perhaps one that is being deleted."""
    text = f'{qualified(resource, group)} "{name}" already exists'
    return Refusal(
        409,
        "AlreadyExists",
        message=f"object is being deleted: {text}" if ending else text,
        details=_details(name, group, resource),
    )


def conflict(resource: str, group: str, *, name: str, why: str | None = None) -> Refusal:
    """Someone else changed the object first."""
    why = why or (
        "the object has been modified; please apply your changes to the latest version and "
        "try again"
    )
    return Refusal(
        409,
        "Conflict",
        message=f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}',
        details=_details(name, group, resource),
    )


def invalid(kind: str, group: str, *, name: str, causes: Sequence[Cause]) -> Refusal:
    """Tell every field that is wrong; 422."""
    texts = list(dict.fromkeys(str(cause) for cause in causes))
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return Refusal(
        422,
        "Invalid",
        message=f'{qualified(kind, group)} "{name}" is invalid: {joined}',
        details=_details(name, group, kind)
        | {
            "causes": [
                {"reason": cause.reason, "message": cause.text, "field": cause.field}
                for cause in causes
            ]
        },
    )


def invalid_options(kind: str, cause: Cause) -> Refusal:
    """Tell what is wrong with the options of a request, ``CreateOptions`` say; 422."""
    return invalid(kind, "meta.k8s.io", name="", causes=[cause])


def bad_request(message: str) -> Refusal:
    """Answer that the request makes no sense; 400."""
    return Refusal(400, "BadRequest", message=message)


def unprocessable() -> Refusal:
    """Answer that a patch cannot be carried out; the server does not say why. 422."""
    message = "the server rejected our request due to an error in our request"
    return Refusal(422, "Invalid", message=message, details={})


def forbidden(
    resource: str, group: str, *, name: str, why: str, details: Document | None = None
) -> Refusal:
    """Admission or authorisation said no."""
    named = f' "{name}"' if name else ""
    return Refusal(
        403,
        "Forbidden",
        message=f"{qualified(resource, group)}{named} is forbidden: {why}",
        details=details if details is not None else _details(name, group, resource),
    )


def unauthorized() -> Refusal:
    """Nobody we know."""
    return Refusal(401, "Unauthorized", message="Unauthorized")


def expired(message: str) -> Refusal:
    """The resource version asked for has been compacted away."""
    return Refusal(410, "Expired", message=message)


def method_not_allowed(resource: str, group: str, *, verb: str) -> Refusal:
    """Answer that the resource does not have that verb."""
    return Refusal(
        405,
        "MethodNotAllowed",
        message=f'{verb} is not supported on resources of kind "{qualified(resource, group)}"',
        details=_details("", group, resource),
    )


def not_acceptable() -> Refusal:
    """Answer that the client accepts nothing we can write; 406."""
    return Refusal(
        406,
        "NotAcceptable",
        message="only the following media types are accepted: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf",
    )


def unsupported_media(accepted: Sequence[str]) -> Refusal:
    """Answer that the body is of a type this endpoint cannot read."""
    return Refusal(
        415,
        "UnsupportedMediaType",
        message="the body of the request was in an unknown format - accepted media types "
        f"include: {', '.join(accepted)}",
    )


def required(field: str, text: str = "") -> Cause:
    """Tell that a value is missing."""
    return Cause(
        field, "FieldValueRequired", f"Required value: {text}" if text else "Required value"
    )


def invalid_value(field: str, value: Any, *, text: str) -> Cause:
    """Tell that a value is not acceptable, and show it as Kubernetes shows it."""
    return Cause(field, "FieldValueInvalid", f"Invalid value: {shown(value)}: {text}")


def forbidden_field(field: str, text: str) -> Cause:
    """Tell that the field may not be set or changed now."""
    return Cause(field, "FieldValueForbidden", f"Forbidden: {text}")


def not_supported(field: str, value: Any, *, supported: Sequence[Any]) -> Cause:
    """Tell which values there are."""
    choices = ", ".join(shown(choice) for choice in supported)
    return Cause(
        field,
        "FieldValueNotSupported",
        f"Unsupported value: {shown(value)}: supported values: {choices}",
    )


def duplicate(field: str, value: Any) -> Cause:
    """Tell that a list holds the same key twice."""
    return Cause(field, "FieldValueDuplicate", f"Duplicate value: {shown(value)}")


def wrong_type(field: str, value: Any, *, text: str) -> Cause:
    """Tell that the value is of another JSON type."""
    return Cause(field, "FieldValueTypeInvalid", f"Invalid value: {shown(value)}: {text}")


def shown(value: Any) -> str:
    """Return the value as field errors print it: strings quoted, objects as JSON or by type."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dict | list):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        for letter in "<>&":  # as Go's encoder has them
            text = text.replace(letter, f"\\u{ord(letter):04x}")
        return text
    return str(value)
