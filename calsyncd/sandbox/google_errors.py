"""The refusals of Google's Calendar API, in the shape of its error bodies."""

from __future__ import annotations

from calsyncd.sandbox.faults import Json
from calsyncd.sandbox.server import Refusal

_KNOWN: dict[str, tuple[str, str]] = {
    "accessNotConfigured": (
        "usageLimits",
        "Google Calendar API has not been used in project 123 before or it is disabled.",
    ),
    "authError": ("global", "Invalid Credentials"),
    "backendError": ("global", "Backend Error"),
    "conditionNotMet": ("global", "Precondition Failed"),
    "dailyLimitExceeded": ("usageLimits", "Daily Limit Exceeded"),
    "deleted": ("global", "Resource has been deleted"),
    "duplicate": ("global", "The requested identifier already exists."),
    "forbidden": ("global", "Forbidden"),
    "fullSyncRequired": ("calendar", "Sync token is no longer valid, a full sync is required."),
    "insufficientPermissions": ("global", "Insufficient Permission"),
    "notACalendarUser": ("calendar", "The user must be signed up for Google Calendar."),
    "notFound": ("global", "Not Found"),
    "pushNotSupportedForRequestedResource": (
        "calendar",
        "Push notifications are not supported by this resource.",
    ),
    "quotaExceeded": ("usageLimits", "Calendar usage limits exceeded."),
    "rateLimitExceeded": ("usageLimits", "Rate Limit Exceeded"),
    "required": ("global", "Login Required"),
    "timeRangeEmpty": ("calendar", "The specified time range is empty."),
    "userRateLimitExceeded": ("usageLimits", "User Rate Limit Exceeded"),
}

_BY_STATUS = {
    400: "badRequest",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    410: "fullSyncRequired",
    412: "conditionNotMet",
    429: "rateLimitExceeded",
}


def error_body(
    status: int,
    reason: str | None = None,
    message: str | None = None,
    location: str | None = None,
    kind: str = "parameter",
) -> Json:
    """Google's error body for a status and reason."""
    named = reason or _BY_STATUS.get(status, "backendError")
    domain, usual = _KNOWN.get(named, ("global", "Bad Request" if status == 400 else named))
    entry: Json = {"domain": domain, "reason": named, "message": message or usual}
    if location is not None:
        entry |= {"locationType": kind, "location": location}
    body: Json = {"errors": [entry], "code": status, "message": message or usual}
    if named == "insufficientPermissions":
        body["message"] = "Request had insufficient authentication scopes."
        body["status"] = "PERMISSION_DENIED"
        body["details"] = [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
                "domain": "googleapis.com",
            }
        ]
    return {"error": body}


def refusal(
    status: int,
    reason: str | None = None,
    message: str | None = None,
    location: str | None = None,
    kind: str = "parameter",
) -> Refusal:
    """The refusal to raise, with Google's body."""
    return Refusal(status, error_body(status, reason, message, location, kind))


def bad(parameter: str, message: str, reason: str = "invalidParameter") -> Refusal:
    """A 400 that names the parameter at fault."""
    return refusal(400, reason, message, parameter)


def bad_value(parameter: str, value: str) -> Refusal:
    """A 400 for a value that the parameter cannot have."""
    return bad(parameter, f"Invalid value '{value}'.")
