"""One result object with its bytes, and what it is to those who deliver it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pydicom import Dataset

from dicomnode.domain.errors import EncodingError
from dicomnode.report import encode
from dicomnode.report.boundary import FOREIGN, told


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One result object, encoded.

    Attributes
    ----------
    role, kind, refers_to
        As in `domain.work.Form`.
    stands_in
        Whether it says the same as another, for destinations that do not take that one.
    """

    role: str
    kind: str
    refers_to: str = ""
    stands_in: bool = False
    dataset: Dataset = field(repr=False)
    data: bytes = field(repr=False)


#: Makes the objects of a kind, each read back and compared; raises `EncodingError`.
Write = Callable[[], Iterable[Output]]


def encode_as(role: str, kind: str, dataset: Dataset, refers_to: str = "", *, stands_in: bool = False) -> Output:
    """The bytes of an object, and what it is.

    Raises
    ------
    EncodingError
        If a value does not fit where it stands.
    """
    try:
        data = encode.to_bytes(dataset)
    except FOREIGN as error:
        raise EncodingError(f"{role}: the object cannot be written: {told(error)}") from error
    return Output(role=role, kind=kind, refers_to=refers_to, stands_in=stands_in, dataset=dataset, data=data)
