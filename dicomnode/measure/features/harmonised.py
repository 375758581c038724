"""Values brought to the scale of a reference batch with the parameters that a bundle holds."""

from __future__ import annotations

from collections.abc import Mapping

from dicomnode.domain.measuring import Harmonisation


def harmonised(
    values: Mapping[str, float], harmonisation: Harmonisation | None, batch: str | None
) -> tuple[dict[str, float], frozenset[str], str]:
    """The values, which of them were changed since parameters were kept for them, and a remark on what was done.

    Parameters
    ----------
    values
        By pyradiomics' name.
    batch
        Of the series, named as `Harmonisation.batch_by` says; None where its headers do not tell.
    """
    if harmonisation is None:
        return dict(values), frozenset(), ""
    if batch == harmonisation.reference:
        told = f"batch {batch} is the reference of harmonisation ({harmonisation.source}): as measured"
        return dict(values), frozenset(), told
    parameters = harmonisation.batches.get(batch) if batch is not None else None
    if parameters is None:
        named = "the headers do not tell" if batch is None else batch
        return dict(values), frozenset(), f"not harmonised: no parameters for batch {named} ({harmonisation.source})"
    kept = [name for name in values if name in parameters and name in set(harmonisation.kept)]
    changed = {name: (values[name] - parameters[name][0]) * parameters[name][1] for name in kept}
    told = (
        f"{len(kept)} of {len(values)} features harmonised from batch {batch} to {harmonisation.reference} "
        f"({harmonisation.source})"
    )
    return {**values, **changed}, frozenset(kept), told
