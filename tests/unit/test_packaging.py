"""What packages are made of agrees with the units, the command and the documents."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer.main

from dicomnode.cli import app
from dicomnode.web import health

ROOT = Path(__file__).resolve().parents[2]
DEBIAN = ROOT / "packaging" / "debian"
SCRIPTS = [DEBIAN / name for name in ("postinst", "prerm", "postrm")]
CONTAINERFILE = (ROOT / "packaging" / "Containerfile").read_text()
UNITS = sorted((ROOT / "systemd").glob("dicomnode*"))
SHELL = [*SCRIPTS, ROOT / "release" / "install.sh"]


def directives(name: str) -> list[str]:
    """Arguments of an instruction of the Containerfile, in their order, with continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", CONTAINERFILE, flags=re.MULTILINE))
    return re.findall(rf"^{name} (.+)$", joined, re.MULTILINE)


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_a_script_is_posix_shell_and_stops_at_the_first_fault(script: Path) -> None:
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/bin/sh" and any(line.startswith("set -e") for line in lines[:8])
    shell = shutil.which("dash") or "sh"
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not re.search(r"\[\[|\blocal\b|\bfunction\b|<<<|&>|\bpipefail\b", script.read_text())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_maintainer_script_knows_every_unit(script: Path) -> None:
    assert set(re.findall(r"dicomnode(?:-\w+)?\.(?:service|target)", script.read_text())) == {
        path.name for path in UNITS
    }


def test_scripts_and_units_mean_the_same_account_and_folders() -> None:
    units = "\n".join(path.read_text() for path in UNITS)
    postinst, postrm = (DEBIAN / "postinst").read_text(), (DEBIAN / "postrm").read_text()
    assert set(re.findall(r"^(?:User|Group)=(.+)$", units, re.MULTILINE)) == {"dicomnode"}
    assert "--home /var/lib/dicomnode" in postinst and re.search(r'--gecos "[^"]+" dicomnode\n', postinst)
    (state,) = set(re.findall(r"^StateDirectory=(.+)$", units, re.MULTILINE))
    (mode,) = set(re.findall(r"^StateDirectoryMode=(.+)$", units, re.MULTILINE))
    assert f"install -d -o dicomnode -g dicomnode -m {mode} /var/lib/{state}" in postinst
    (cache,) = set(re.findall(r"^CacheDirectory=(.+)$", units, re.MULTILINE))
    (file,) = set(re.findall(r"--config (\S+)", units))
    assert f"for folder in /var/lib/{state} /var/cache/{cache} {Path(file).parent}; do" in postrm
    assert f"configuration={file}\n" in postinst
    # What is built, what is run and what is asked are at one place.
    (program,) = set(re.findall(r"^ExecStart=(\S+)", units, re.MULTILINE))
    prefix = re.findall(r'^PREFIX = Path\("(.+)"\)$', (ROOT / "release" / "deb.py").read_text(), re.MULTILINE)
    assert [f"{one}/bin/dicomnode" for one in prefix] == [program]
    assert program in postinst and program in CONTAINERFILE


def test_the_image_is_made_for_the_python_of_the_wheels_and_runs_as_nobody_in_particular() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    (minor,) = (one.split(" :: ")[-1] for one in classifiers if re.fullmatch(r".* :: Python :: 3\.\d+", one))
    assert {one.split()[0] for one in directives("FROM")} == {f"python:{minor}-slim"}
    (user,) = directives("USER")
    assert int(user) > 0
    assert f"--uid {user} " in " ".join(directives("RUN"))
    # Nothing that root would have to do comes later.
    assert "RUN" not in re.findall(r"^([A-Z]+) ", CONTAINERFILE.split(f"USER {user}")[1], re.MULTILINE)
    assert re.findall(r"\w+://[^/:'\"\s]+", CONTAINERFILE) == ["http://127.0.0.1"]


def test_the_image_installs_from_the_wheelhouse_and_calls_what_there_is() -> None:
    installing, _making = directives("RUN")
    steps = [shlex.split(one) for one in installing.split(" && ")]
    assert steps[0] == ["/wheelhouse/install.sh", "/opt/dicomnode"]
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    init = next(step for step in steps if step[1:2] == ["init"])
    known = {option for one in commands["init"].params for option in one.opts}
    assert {one for one in init if one.startswith("--")} <= known
    (command,) = directives("CMD")
    verb, *arguments = re.findall(r'"([^"]+)"', command)
    assert verb in commands and arguments == ["--config", init[2]]
    # Its health is asked where the configuration that it comes with has the dashboard.
    (asked,) = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", " ".join(directives("HEALTHCHECK")))
    assert asked[0] == init[init.index("--web-port") + 1]
    assert asked[1] in {getattr(route, "path", "") for route in health.router.routes}
    assert directives("EXPOSE") == [init[init.index("--port") + 1]]


def test_targets_that_the_document_names_are_in_the_makefile() -> None:
    document, makefile = (ROOT / "docs" / "install.md").read_text(), (ROOT / "Makefile").read_text()
    named = set(re.findall(r"make (\w+)", document)) - {"an"}
    assert named <= set(re.findall(r"^(\w+):(?!=)", makefile, re.MULTILINE))
    assert {"dist", "wheelhouse", "deb", "units"} <= named
