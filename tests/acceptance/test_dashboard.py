"""A browser walks the dashboard of a running node, and axe looks at every page in light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dicomnode.audit.people import somebody
from dicomnode.config import load
from dicomnode.domain.role import Role
from dicomnode.flow.asked.accounts import Accounts
from dicomnode.store.database import Database
from tests.acceptance.conftest import MakeNode
from tests.acceptance.peers import CountingPacs, send
from tests.acceptance.phantom import Ct
from tests.acceptance.running import Node, peer
from tests.acceptance.waiting import PATIENCE_SECONDS, eventually, free_port
from tests.viewer.package import fetched

pytestmark = pytest.mark.acceptance

#: https://github.com/dequelabs/axe-core, fixed so that the verdict changes with this project only.
AXE = ("axe-core", "4.14.1")

PASSCODE = "correct horse battery staple"
PEOPLE = {"ada": (Role.ADMINISTRATOR, True), "olga": (Role.OPERATOR, True), "vera": (Role.VIEWER, False)}

#: Findings that keep somebody from using a page.
GRAVE = {"serious", "critical"}

DESK, PHONE = (1280, 860), (390, 844)


@pytest.fixture
def web_node(make_node: MakeNode, pacs: CountingPacs) -> Node:
    """A running node with a dashboard, three people and a PACS."""
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)], web={"port": free_port()}).start()
    with closing(Database(node.store / "node.db")) as db:
        accounts = Accounts(db, load(node.configuration), somebody("root"))
        for name, (role, names) in PEOPLE.items():
            accounts.add_person(name, PASSCODE, role, sees_names=names)
    return node


class Browser:
    """Chromium with one window for each person; whatever a page says to the console is kept."""

    def __init__(self, chromium: Any, address: str, shots: Path) -> None:
        self._chromium, self._address, self._shots = chromium, address, shots
        self.said: list[str] = []
        shots.mkdir(parents=True, exist_ok=True)

    def window(self, name: str, *, scheme: str = "light", size: tuple[int, int] = DESK, **more: Any) -> Any:
        """A page on which this person is signed in."""
        width, height = size
        context = self._chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, base_url=self._address, **more
        )
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        page = context.new_page()
        page.on("console", lambda one: self.said.append(one.text) if one.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.goto("/sign-in")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Passcode").fill(PASSCODE)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Overview").wait_for()
        return page

    def shoot(self, page: Any, name: str) -> None:
        """Write a picture of all of the page to the test's folder."""
        page.screenshot(path=self._shots / f"{name}.png", full_page=True)


@pytest.fixture
def browser(web_node: Node, tmp_path: Path) -> Iterator[Browser]:
    """Debian's Chromium; skipped where it is not installed."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is not installed; Debian package chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser; extra dev")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--no-proxy-server"])
        yield Browser(chromium, f"http://127.0.0.1:{port_of(web_node)}", tmp_path / "screenshots")
        chromium.close()


def port_of(node: Node) -> int:
    """The port of its dashboard."""
    tables: Mapping[str, Mapping[str, Any]] = node._tables
    return int(tables["web"]["port"])


def analysed(node: Node, ct: Ct) -> None:
    """Send the study and wait until everything that came of it is delivered."""
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: node.rows("SELECT 1 FROM delivery WHERE state = 'done'"), what="a result")
    node.wait_idle()


def test_an_operator_sees_a_study_move_opens_its_story_and_resends_a_result(
    web_node: Node, browser: Browser, pacs: CountingPacs, ct: Ct
) -> None:
    page = browser.window("olga")
    assert "No study has come yet." in page.content()
    browser.shoot(page, "overview-empty")

    send(ct.files, web_node.port)

    # The page is not loaded again: what is new comes by itself.
    page.locator(f"#live a[href='/studies/{ct.study}']").first.wait_for()
    page.locator("#live tr", has_text="done").first.wait_for()
    browser.shoot(page, "overview")
    page.locator(f"#live td a[href='/studies/{ct.study}']").click()
    page.get_by_role("heading", name="DONT, LOGME").wait_for()
    page.get_by_role("heading", name="Its story").wait_for()
    story = page.locator(".story").inner_text()
    assert "rule dense considered" in story and "Modality equals CT: found CT" in story and "0000 Success" in story
    assert "Dense" in page.get_by_role("region", name="Measurements").inner_text()
    picture = page.locator("figure img")
    picture.scroll_into_view_if_needed()
    eventually(lambda: picture.evaluate("one => one.complete && one.naturalWidth"), what="the preview")
    browser.shoot(page, "study")

    before = len(pacs.offers)
    page.get_by_role("button", name="Resend seg to PACS").click()
    page.get_by_role("status").filter(has_text="seg to PACS waits again").wait_for()
    eventually(lambda: len(pacs.offers) == before + 1, what="the SEG once more")
    assert pacs.offers[-1].data == pacs.offers[0].data
    assert browser.said == []


def test_the_rules_are_tried_on_a_file_and_on_a_stored_study(web_node: Node, browser: Browser, ct: Ct) -> None:
    analysed(web_node, ct)
    page = browser.window("vera")
    page.get_by_role("link", name="Rules").click()
    page.get_by_label("A DICOM file").set_input_files(ct.files[0])
    page.get_by_role("button", name="Try the file").click()
    page.get_by_text("Modality equals CT: found CT").wait_for()
    assert page.get_by_role("heading", name="matches dense").is_visible()
    browser.shoot(page, "rules-tried")
    page.get_by_label("A study of the store").fill(ct.study[:20])
    page.get_by_role("button", name="Try the study").click()
    page.get_by_role("heading", name=f"study {ct.study}").wait_for()
    assert "LOGME" not in page.content() and browser.said == []


def test_a_viewer_is_refused_what_an_operator_may_do(web_node: Node, browser: Browser, ct: Ct) -> None:
    analysed(web_node, ct)
    path = f"/studies/{ct.study}"
    operator = browser.window("olga")
    operator.goto(path)
    assert operator.get_by_role("button", name="Retry").first.is_visible()
    viewer = browser.window("vera")
    viewer.goto(path)
    assert viewer.get_by_role("button").all_inner_texts() == ["Sign out"]
    assert "LOGME" not in viewer.content() and "SECRET-ID" not in viewer.content()
    browser.shoot(viewer, "study-of-a-viewer")
    csrf = viewer.locator("input[name=csrf_token]").first.input_value()
    answer = viewer.context.request.post(f"{path}/retry", form={"csrf_token": csrf})
    assert answer.status == 403 and "needed role operator" in answer.text()
    assert web_node.rows("SELECT COUNT(*) FROM event WHERE arrow = 'requeued'") == [(0,)]
    viewer.goto("/people")
    assert viewer.get_by_role("heading", name="Not allowed").is_visible()
    browser.shoot(viewer, "refused")


def test_everything_works_without_a_script(web_node: Node, browser: Browser, pacs: CountingPacs, ct: Ct) -> None:
    analysed(web_node, ct)
    page = browser.window("olga", size=PHONE, java_script_enabled=False)
    page.get_by_role("link", name="Studies", exact=True).click()
    page.get_by_role("textbox", name="Patient").fill("logme")
    page.get_by_role("button", name="Search patients").click()
    assert "logme" not in page.url.lower()
    page.locator(f"a[href='/studies/{ct.study}']").click()
    before = len(pacs.offers)
    page.get_by_role("button", name="Resend sr to PACS").click()
    assert "sr to PACS waits again" in page.content()
    eventually(lambda: len(pacs.offers) == before + 1, what="the report once more")


def test_no_page_keeps_anybody_from_using_it(web_node: Node, browser: Browser, ct: Ct) -> None:
    axe = (fetched(*AXE) / "axe.min.js").read_text(encoding="utf-8")
    analysed(web_node, ct)
    pages = {
        "overview": "/", "studies": "/studies", "study": f"/studies/{ct.study}", "rules": "/rules", "models": "/models",
        "model": "/models/toy", "peers": "/peers", "disk": "/disk", "log": "/log?all=true", "people": "/people",
        "not-here": "/studies/1.9.9", "sign-in": "/sign-in",
    }  # fmt: skip
    found = []
    for scheme in ("light", "dark"):
        for device, size in (("desk", DESK), ("phone", PHONE)):
            # What the test puts into a page, the page's own policy would not run.
            page = browser.window("ada", scheme=scheme, size=size, bypass_csp=True)
            for name, path in pages.items():
                page.goto(path, wait_until="networkidle")
                browser.shoot(page, f"{name}-{device}-{scheme}")
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, device)
                page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
                page.evaluate(axe)
                for one in page.evaluate("axe.run()")["violations"]:
                    if one["impact"] in GRAVE:
                        found.append((name, device, scheme, one["id"], [node["html"][:200] for node in one["nodes"]]))
            page.context.close()
    assert found == []
