"""Values brought to the scale of a reference batch with the parameters that a bundle holds."""

from __future__ import annotations

from collections.abc import Mapping

from dicomnode.domain.measuring import Harmonisation


def harmonised(
    values: Mapping[str, float], harmonisation: Harmonisation | None, batch: str | None
) -> tuple[dict[str, float], str]:
    """The values, those of them changed for which parameters were kept, and a remark on what was done.

    Parameters
    ----------
    values
        By pyradiomics' name.
    batch
        Of the series, named as `Harmonisation.batch_by` says; None where its headers do not tell.
    """
    if harmonisation is None:
        return dict(values), ""
    if batch == harmonisation.reference:
        return dict(values), f"batch {batch} is the reference of harmonisation ({harmonisation.source}): as measured"
    parameters = harmonisation.batches.get(batch) if batch is not None else None
    if parameters is None:
        named = "the headers do not tell" if batch is None else batch
        return dict(values), f"not harmonised: no parameters for batch {named} ({harmonisation.source})"
    kept = [name for name in values if name in parameters and name in set(harmonisation.kept)]
    changed = {name: (values[name] - parameters[name][0]) * parameters[name][1] for name in kept}
    return {**values, **changed}, (
        f"{len(kept)} of {len(values)} features harmonised from batch {batch} to {harmonisation.reference} "
        f"({harmonisation.source})"
    )
