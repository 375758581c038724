"""A node tells by mail and web request and loses no message by kill -9; without signs of life its heartbeat stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from dicomnode.flow import failpoint
from tests.acceptance.conftest import MakeNode
from tests.acceptance.peers import CountingPacs, listens, send
from tests.acceptance.phantom import Ct
from tests.acceptance.running import COMMAND, RULE, peer, table
from tests.acceptance.waiting import eventually
from tests.toy import TOML, write_bundle
from tests.unit.flow.alerts.receivers import mail_server, web_server

pytestmark = pytest.mark.acceptance

URGENT = TOML.replace('label = "Dense"', 'label = "Dense"\nurgent = true')


@pytest.mark.parametrize("death", ["", *failpoint.MESSAGE_NAMES])
def test_an_urgent_finding_is_told_by_mail_and_request_also_when_the_node_is_killed_in_between(
    make_node: MakeNode, pacs: CountingPacs, ct: Ct, tmp_path: Path, death: str
) -> None:
    write_bundle(tmp_path / "urgent", toml=URGENT)
    with mail_server() as mail, web_server() as web:
        notify = [
            {"name": "desk", "on": ["urgent"], "host": "127.0.0.1", "port": mail.port, "security": "none",
             "sender": "node@hospital.test", "to": ["desk@hospital.test"], "every_seconds": 1},
            {"name": "pager", "on": ["urgent", "flagged"], "url": web.url, "every_seconds": 1},
        ]  # fmt: skip
        rules = "\n".join([RULE, *(table("[[notify]]", one) for one in notify)])
        node = make_node(models=tmp_path / "urgent", peers=[peer("PACS", pacs.aet, pacs.port)], rules=rules)
        marker = tmp_path / "died"
        node.start({failpoint.VARIABLE: f"{death}={marker}"} if death else {})
        assert set(send(ct.files, node.port).values()) == {0}
        node.wait_idle()
        eventually(lambda: len(mail.mails) >= 1 and len(web.requests) >= 1, what="both messages")
        eventually(lambda: node.rows("SELECT state FROM message") == [("sent",)] * 2, what="both noted as sent")
        assert marker.exists() == bool(death)
        # Killed between the sending and its note, it sends again: under the same id.
        assert len({one["Message-ID"] for one in mail.mails}) == 1
        assert len({json.loads(body)["id"] for _, _, _, body in web.requests}) == 1
        assert 2 + bool(death) <= len(mail.mails) + len(web.requests) <= 2 + 2 * bool(death)
        told = json.loads(web.requests[0][3])
        assert told["studies"] == ct.study and "toy found: Dense" in told["text"]
        assert f"study {ct.study}, rule dense" in mail.mails[0].get_content()

        # Not by `node.command`, which writes its arguments to the log that is searched for the patient.
        words = ("flag", ct.study[:20], "--reason", "DONT^LOGME has none", "--by", "Dr Weber")
        done = subprocess.run(
            [*COMMAND, *words, "--config", str(node.configuration)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 and "flagged, against toy 1.0.0" in " ".join(done.stdout.split())
        eventually(lambda: "flagged" in web.requests[-1][3].decode(), what="the complaint")
        for secret in ("DONT", "LOGME", "SECRET-ID", "Weber"):
            assert secret not in str(web.requests) and secret not in str(mail.mails)
    listed = node.command("results", "list", "--model", "toy", "--version", "1.0.0", "--json")
    (one,) = json.loads(listed.stdout)
    assert one["study_instance_uid"] == ct.study and {place["state"] for place in one["places"]} == {"done"}
    assert one["flags"] == 1
    drifted = json.loads(node.command("drift", "--json").stdout)
    assert drifted["compared"][0]["last"]["runs"] == 1 and drifted["flagged"][0]["studies"] == 1


def test_the_heartbeat_goes_on_after_a_restart_and_stops_without_signs_of_life(
    make_node: MakeNode, pacs: CountingPacs
) -> None:
    with web_server() as web:
        beat = {"url": web.url, "every_seconds": 1}
        node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)], heartbeat=beat).start()
        eventually(lambda: len(web.requests) >= 2, what="two heartbeats")
        os.kill(node.child("receive"), signal.SIGKILL)
        node.says("process died")
        eventually(lambda: listens(node.port), what="the listener to be back")
        count = len(web.requests)
        eventually(lambda: len(web.requests) > count, what="a heartbeat after the listener was started anew")
        # A supervisor that still ran would end a listener that hangs, and start another.
        hanging = (node.supervisor, node.child("receive"))
        for pid in hanging:
            os.kill(pid, signal.SIGSTOP)
        try:
            node.says("no sign of life of", 120)
        finally:
            for pid in hanging:
                os.kill(pid, signal.SIGCONT)
