"""What a message says: subject and text for people, fields for templates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from string import Template

from dicomnode.config.alerts import FIELDS, JSON_FIELDS
from dicomnode.domain.notice import Message, Notice

_CLOSE = (
    "`dicomnode why STUDY` tells the story of a study, `dicomnode status` what stands where. Research software, not a"
    " medical device: nobody may rely on being told."
)


def subject(message: Message, node: str) -> str:
    """How many notices of which topics, in one line."""
    return f"{node}: {_counted(message)}"


def text(message: Message, node: str) -> str:
    """The notices, one in each line, and how many more there are."""
    told = [line(one) for one in message.notices]
    more = sum(message.counts.values()) - len(told)
    rest = [f"… and {more} more: `dicomnode status`"] if more else []
    head = f"{node}, {message.made_at:%Y-%m-%d %H:%M:%S} UTC: {_counted(message)}"
    return "\n".join((head, "", *told, *rest, "", _CLOSE, f"message {message.message_id}", ""))


def line(notice: Notice) -> str:
    """One notice in one line."""
    where = f"; study {notice.study_instance_uid}" if notice.study_instance_uid else ""
    rule = f", rule {notice.rule}" if notice.rule else ""
    words = " ".join(notice.text.split())
    return f"{notice.happened_at:%H:%M:%S} {notice.topic.replace('_', ' ')}: {words}{where}{rule}"


def fields(message: Message, node: str) -> dict[str, str]:
    """The values of `config.alerts.FIELDS` as text."""
    studies = dict.fromkeys(one.study_instance_uid for one in message.notices if one.study_instance_uid)
    notices = [
        {
            "topic": one.topic.value, "at": f"{one.happened_at:%Y-%m-%dT%H:%M:%SZ}", "text": one.text,
            "study_instance_uid": one.study_instance_uid, "rule": one.rule,
        }
        for one in message.notices
    ]  # fmt: skip
    values = {
        "id": message.message_id,
        "notify": message.notify,
        "node": node,
        "made_at": f"{message.made_at:%Y-%m-%dT%H:%M:%SZ}",
        "count": str(sum(message.counts.values())),
        "topics": ", ".join(message.counts),
        "studies": ", ".join(studies),
        "subject": subject(message, node),
        "text": text(message, node),
        "notices": json.dumps(notices, ensure_ascii=False),
    }
    return {name: values[name] for name in FIELDS}


def filled(template: str, content_type: str, values: Mapping[str, str]) -> bytes:
    """A template with its fields; where it is JSON, text is escaped as that. Without a template, all fields as JSON."""
    if not template:
        known = {name: json.loads(value) if name in JSON_FIELDS else value for name, value in values.items()}
        return json.dumps(known, ensure_ascii=False).encode()
    if content_type.startswith("application/json"):
        values = {
            name: value if name in JSON_FIELDS else json.dumps(value, ensure_ascii=False)[1:-1]
            for name, value in values.items()
        }
    return Template(template).substitute(values).encode()


def _counted(message: Message) -> str:
    return ", ".join(f"{count} {topic.replace('_', ' ')}" for topic, count in message.counts.items())
