"""A form that cannot be built costs the reader that form and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dicomnode.domain.errors import EncodingError
from dicomnode.report import labelmap, rtstruct, segmentation
from tests.unit.flow.test_work import Node, models, node

__all__ = ["models", "node"]


def _fails(*_args: Any, **_more: Any) -> None:
    raise EncodingError("frame 1 lies on no image of the source series")


@pytest.mark.parametrize(("module", "kind"), [(labelmap, "labelmap"), (rtstruct, "rtstruct")])
def test_the_others_go_and_the_report_and_the_story_say_what_is_lacking(
    node: Callable[..., Node], ct: Any, receive: Any, monkeypatch: pytest.MonkeyPatch, module: Any, kind: str
) -> None:
    monkeypatch.setattr(module, "write", _fails)
    it = node(outputs=("seg", kind, "sr"))
    receive(it.intake, ct())
    it.settled()
    it.work_until_idle()
    results = it.results()
    assert it.job()["state"] == "done" and {"seg", "sr"} <= set(results) and kind not in results
    said = f"{kind} was left out: frame 1 lies on no image of the source series"
    assert said in it.job()["reason"]
    assert said in results["sr"].to_json()


def test_a_mask_that_cannot_be_built_is_no_result(
    node: Callable[..., Node], ct: Any, receive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmentation, "write", _fails)
    it = node(outputs=("seg", "rtstruct", "sr"))
    receive(it.intake, ct())
    it.settled()
    it.work_until_idle()
    assert it.job()["state"] == "failed" and set(it.results()) == {"refusal"}
