"""What a report or picture says that holds no result: not analysed, not yet analysed, or withdrawn."""

from __future__ import annotations

from dataclasses import dataclass

from highdicom.sr import CodedConcept


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """One thing to say in place of a result.

    Attributes
    ----------
    title
        In the letters of a picture.
    says
        Goes on after the name of the model.
    series
        Role of the report's series.
    variant
        Tells its objects apart from others of the same series, under this number.
    status
        In code; None where whoever writes it decides.
    """

    title: str
    says: str
    series: str
    variant: str
    number: int
    status: CodedConcept | None = None

    @property
    def lead(self) -> str:
        """How the sentence with the reason begins."""
        return self.title.capitalize()


#: From CID 6042 "Status of Results".
_NOT_ATTEMPTED = CodedConcept("111225", "DCM", "Not Attempted")

NOT_ANALYSED = Heading(
    title="NOT ANALYSED",
    says="gave no result; nothing is said about the images.",
    series="refusal",
    variant="",
    number=1,
    status=_NOT_ATTEMPTED,
)
WITHDRAWN = Heading(
    title="WITHDRAWN",
    says="the earlier results of this analysis do not stand any more and must not be used.",
    series="withdrawn",
    variant="withdrawn",
    number=2,
)
NOT_YET = Heading(
    title="NOT ANALYSED YET",
    says="has not given a result so far; nothing is said about the images.",
    series="refusal",
    variant="overdue",
    number=3,
    status=_NOT_ATTEMPTED,
)
