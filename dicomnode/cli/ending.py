"""How a command ends: in one sentence and an exit status, as JSON where that was asked for, never in a traceback."""

from __future__ import annotations

import os
import sys
import syslog
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import typer
from rich.markup import escape
from typer.main import get_command

from dicomnode import log
from dicomnode.cli.console import err, json_wanted, write_json
from dicomnode.domain.errors import ConfigError, DicomNodeError

#: Exit statuses: something is wrong with what was asked for or found; with the command line or the configuration; with
#: this program (EX_SOFTWARE of sysexits.h); and 128 + SIGINT as shells have it.
FAILED, USAGE, OUR_FAULT, INTERRUPTED = 1, 2, 70, 130

_DEBUG = "--debug"


def run(app: typer.Typer) -> None:
    """Run the command and leave with its exit status."""
    sys.excepthook = _debugging if _take_debug() else _at_the_end
    sys.exit(_ended(lambda: get_command(app)(prog_name="dicomnode", standalone_mode=False)))


def _ended(verb: Callable[[], Any]) -> int:
    """The exit status of a verb, whose errors are told; what nobody expected is left to `sys.excepthook`."""
    try:
        status = verb()
        sys.stdout.flush()
    except typer.Abort:
        return _told("no answer came to a question; give it as an option, see --help", FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except ConfigError as error:
        also_json(error)
        for fault in error.faults:
            text = f"[red]{escape(fault.key)}[/] = {escape(repr(fault.value))}: {escape(fault.remedy)}"
            err.print(text, highlight=False, soft_wrap=True)
        return USAGE
    except DicomNodeError as error:
        also_json(error)
        err.print(f"[red]failed:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return FAILED
    except BrokenPipeError:
        # Who read has enough, as head(1) does. What is left in the buffer must not fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        return _told(f"{error.filename or 'system'}: {error.strerror or 'cannot be used'}", FAILED)
    except typer.exceptions.TyperException as error:
        return _misused(error)
    return status if isinstance(status, int) else 0


def also_json(error: DicomNodeError) -> None:
    """An error as JSON too, where JSON was asked for."""
    if json_wanted():
        from dicomnode.flow.outcome_json import error_as_json

        write_json(error_as_json(error))


def _misused(error: Any) -> int:
    """A wrong command line, as JSON or as the usage of the verb."""
    if json_wanted():
        write_json({"reason": error.format_message(), "usage": error.ctx.get_usage() if error.ctx else ""})
    error.show()
    return int(error.exit_code)


def _told(text: str, status: int) -> int:
    if json_wanted():
        write_json({"reason": text})
    err.print(f"[red]failed:[/] {escape(text)}", highlight=False, soft_wrap=True)
    return status


def _take_debug() -> bool:
    """Whether --debug was given; it counts wherever it stands, since people add it to the end of what they typed."""
    own = sys.argv[: sys.argv.index("--")] if "--" in sys.argv else sys.argv
    if _DEBUG not in own:
        return False
    sys.argv.remove(_DEBUG)
    return True


def _at_the_end(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    """One sentence for people; the machine's log has the traceback, without words that may name a patient."""
    syslog.openlog("dicomnode")
    syslog.syslog(syslog.LOG_ERR, f"ended by an exception\n{log.told(error)}")
    frame = traceback.extract_tb(frames)[-1]
    where = f"{kind.__name__} in {Path(frame.filename).name}, line {frame.lineno}"
    text = f"this is a fault of dicomnode: {where}; run again with {_DEBUG} and report what it prints"
    _leave(_told(text, OUR_FAULT))


def _debugging(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    """All that Python knows, which may be values of a patient; whoever asked for it looks before passing it on."""
    sys.__excepthook__(kind, error, frames)
    _leave(_told("the lines above may name a patient; look before you report them", OUR_FAULT))


def _leave(status: int) -> None:
    """End with this status: a hook of Python's cannot return one."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
