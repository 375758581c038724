"""A process is at work: what it has loaded is there to stay."""

from __future__ import annotations

import gc

from dicomnode.flow import child


def say_ready() -> None:
    """Tell the supervisor, and let the search for garbage pass over what is there now.

    pynetdicom has all objects of its process searched again and again (`AssociationServer.service_actions`), which
    takes 70 ms with those of a listener, while nobody is answered.
    """
    gc.collect()
    gc.freeze()
    child.say_ready()
