"""The file `harmonisation.json` of a bundle: ComBat's parameters by scanner, written by one verb and read at load."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from dicomnode.domain.measuring import Harmonisation
from dicomnode.infer.bundle.radiomics import feature_parts
from dicomnode.infer.bundle.tables import Number, Positive, Table, Text

#: Name and version of the form; another one is refused rather than misread.
FORM = "dicomnode harmonisation 1"


class HarmonisationFile(Table):
    """All of the file: harmonised = (value - shift) * factor, by batch and feature.

    The reference batch is brought to its own scale, so that it needs no entry; one that it has must change nothing.
    """

    form: Literal["dicomnode harmonisation 1"]
    batch_by: Annotated[tuple[Text, ...], Field(min_length=1)]
    reference: Text
    batches: dict[Text, dict[str, tuple[Number, Positive]]]
    kept: Annotated[tuple[str, ...], Field(min_length=1)]
    source: Text

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name in self.kept:
            feature_parts(name)
        for batch, features in self.batches.items():
            if batch != self.reference and (missing := [name for name in self.kept if name not in features]):
                raise ValueError(f"batch {batch} lacks {missing[0]}, needed shift and factor of every feature in kept")
            if batch == self.reference and any(pair != (0.0, 1.0) for pair in features.values()):
                raise ValueError(f"the reference batch {batch} is changed, needed shift 0 and factor 1")
        return self


def content_of(harmonisation: Harmonisation) -> bytes:
    """The bytes of the file, whose SHA-256 goes into model.toml; equal parameters make equal bytes."""
    whole = {
        "form": FORM,
        "batch_by": [*harmonisation.batch_by],
        "reference": harmonisation.reference,
        "batches": {
            batch: {name: [*pair] for name, pair in features.items()}
            for batch, features in harmonisation.batches.items()
        },
        "kept": [*harmonisation.kept],
        "source": harmonisation.source,
    }
    return (json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read_harmonisation(path: Path, sha256: str) -> Harmonisation:
    """What a file holds, hashed after reading, so that what was checked is what is used.

    Raises
    ------
    ValueError
        In words: it cannot be read, is not the declared one, or is none.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror}), needed beside model.toml") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise ValueError(f"has SHA-256 {digest[:12]}…, needed {sha256[:12]}… as model.toml says")
    try:
        found = HarmonisationFile.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ValueError(f"is no harmonisation: {where}: {first['msg']}") from error
    return Harmonisation(
        batch_by=found.batch_by,
        reference=found.reference,
        batches={batch: dict(features) for batch, features in found.batches.items()},
        kept=found.kept,
        source=found.source,
    )
