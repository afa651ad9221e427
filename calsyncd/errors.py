"""Errors, by whose fault they are and what comes next.

`UserError`: the person who runs calsyncd can mend it; shown without a traceback.
`Refused`: the other side understood and said no; asking again the same way is pointless.
`Unavailable`: nobody's answer counts yet; it goes on the agenda and is tried again.
"""

from __future__ import annotations

import errno


class UserError(Exception):
    """Something the user can mend; the message says what, where, and what to do."""

    def __init__(self, message: str, *, exit_code: int = 78) -> None:
        super().__init__(message)
        self.exit_code = exit_code


PASSING_ERRNOS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EBUSY}
)


def exit_code_of(error: OSError) -> int:
    """1 for what may pass by itself, so that a supervisor tries again; 78 for what only a person can mend."""
    return 1 if error.errno in PASSING_ERRNOS else 78


class ServiceError(Exception):
    """A service did not do what was asked; never raised itself.

    `service` is "google" or "aircall"; `code` is a stable name for logs, metrics and `trouble`.
    """

    def __init__(self, message: str, *, service: str, code: str, status: int | None = None) -> None:
        super().__init__(message)
        self.service = service
        self.code = code
        self.status = status


class Refused(ServiceError):
    """The service said no for good: a retry of the same request cannot succeed."""


class Unavailable(ServiceError):
    """No answer that counts: try again, not before `retry_after` seconds if it is known.

    `landed` says whether a write may have taken effect all the same.
    """

    def __init__(
        self,
        message: str,
        *,
        service: str,
        code: str,
        status: int | None = None,
        retry_after: float | None = None,
        landed: bool = True,
    ) -> None:
        super().__init__(message, service=service, code=code, status=status)
        self.retry_after = retry_after
        self.landed = landed


class RateLimited(Unavailable):
    """The service's allowance is used up; the request had no effect.

    `reset` is what the answer said of the end of the wait: seconds or milliseconds since the epoch, as it came.
    """

    def __init__(
        self, message: str, *, service: str, retry_after: float | None = None, reset: float | None = None
    ) -> None:
        super().__init__(
            message, service=service, code="rate_limited", status=429, retry_after=retry_after, landed=False
        )
        self.reset = reset


SYNC_TOKEN_GONE = "sync_token_gone"  # noqa: S105 - a code, not a secret
BAD_REQUEST = "bad_request"
CHANNEL_ID_TAKEN = "channel_id_taken"
PUSH_NOT_SUPPORTED = "push_not_supported"
CREDENTIALS = "credentials"
NOT_INSTALLED = "aircall_not_installed"
UNREADABLE = "aircall_vault"
UNINSTALLED = "aircall_uninstalled"
USER_GONE = "user_gone"
"""Codes that decide what is done next."""
