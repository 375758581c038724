"""Tells a receiver that does not take a message from one that is away."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence

from dicomnode.domain.errors import ConfigError
from dicomnode.domain.notice import Message, Topic
from dicomnode.flow.alerts.request import NotTaken

#: The receiver or what stands before it has no time now (RFC 9110 15.5.9, 15.6.3 to 15.6.5; RFC 8470 5.2; RFC 6585 4).
_LATER = frozenset({408, 425, 429, 502, 503, 504})

#: Permanent replies of SMTP (RFC 5321 4.2.1) begin here.
_PERMANENT = 500

#: About the node, which every message is from.
_OF_THE_NODE = (smtplib.SMTPConnectError, smtplib.SMTPHeloError, smtplib.SMTPAuthenticationError)

#: Where so many messages wait beside each other, it is not the messages that the receiver does not like.
_MOST_WAITING = 4


def is_refusal(error: Exception) -> bool:
    """Whether this message was looked at and not taken, so that another may fare better."""
    if isinstance(error, NotTaken):
        return bool(error.status) and error.status not in _LATER
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= _PERMANENT for code, _words in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code >= _PERMANENT and not isinstance(error, _OF_THE_NODE)
    # What cannot be written as a mail or a request at all.
    return isinstance(error, ValueError) and not isinstance(error, ConfigError | OSError)


def goes_beside(topics: set[Topic], waiting: Sequence[Message]) -> bool:
    """Whether notices of these topics become a message of their own beside those that wait.

    They do beside one that its receiver does not take, since it may take this one. A receiver that is away gets all at
    once when it is back, but for what is urgent, which waits behind nothing that is not.
    """
    away = [one for one in waiting if not one.refused]
    urgent = Topic.URGENT in topics and all(Topic.URGENT not in one.counts for one in away)
    return len(waiting) < _MOST_WAITING and (urgent or not away)
