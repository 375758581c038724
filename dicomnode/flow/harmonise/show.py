"""Shows what a harmonisation was fitted on and what came of it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dicomnode.flow.harmonise.fit import Fitted
from dicomnode.measure.concordance import Agreement

#: More rows of features than this are not read on a terminal; the worst of those left out stand first.
_MOST_ROWS = 20


def show(found: Fitted, sha256: str, path: Path, to: Console) -> None:
    """Batches, features, concordance, and the lines that a model.toml needs."""
    made = found.harmonisation
    table = Table("batch", "scans", "largest difference, in SD of the reference", box=None, pad_edge=False)
    for batch, count in found.table.counts().items():
        feature, apart = found.largest_shift.get(batch, ("", 0.0))
        table.add_row(escape(batch), str(count), f"{feature} {apart:+.2f}" if feature else "reference")
    to.print(table)
    _concordance(found, to)
    lines = [
        f"{len(made.kept)} of {len(found.table.features)} features kept",
        *([f"{found.table.left_out} rows without features were left out"] if found.table.left_out else []),
        f"{path.name} goes beside model.toml, which has to say:",
        f'[harmonisation]\nfile = "{path.name}"\nsha256 = "{sha256}"',
    ]
    for line in lines:
        to.print(line, markup=False, highlight=False, soft_wrap=True)


def _concordance(found: Fitted, to: Console) -> None:
    if not found.pairs:
        to.print("no repeated scans (--retest): no feature was left out for want of concordance", highlight=False)
        return
    lost = [name for name in found.table.features if name not in set(found.harmonisation.kept)]
    lost.sort(key=lambda name: (found.concordance[name].ccc.value, name))
    words = f"{found.pairs} repeated scans, among those that the batches were fitted on: others may agree less"
    to.print(words, highlight=False, soft_wrap=True)
    for name in lost[:_MOST_ROWS]:
        one = found.concordance[name]
        told = f"CCC {_words(one.ccc)}, ICC(2,1) {_words(one.icc_agreement)}, ICC(3,1) {_words(one.icc_consistency)}"
        to.print(f"not kept: {name}: {told}", markup=False, highlight=False, soft_wrap=True)
    if len(lost) > _MOST_ROWS:
        to.print(f"not kept: {len(lost) - _MOST_ROWS} more", highlight=False)


def _words(one: Agreement) -> str:
    return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"
