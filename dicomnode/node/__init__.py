"""The composition root: settings in, running node out; the one package that puts rooms, store and loops together."""

from __future__ import annotations

from dicomnode.node.opened import open_store
from dicomnode.node.reload import text_of
from dicomnode.node.run import ROLES, roles_of, run, run_child

__all__ = ["ROLES", "open_store", "roles_of", "run", "run_child", "text_of"]
