"""What the sums of target lesions mean by RECIST 1.1, WHO, RANO and thresholds of volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dicomnode.domain.code import Code
from dicomnode.domain.measuring import MeasureSpec
from dicomnode.domain.response import Lesion
from dicomnode.measure.change.growth import percent

#: CID 6143 "Response Evaluation of Target Lesions".
COMPLETE = Code(value="112041", scheme="DCM", meaning="Target Lesion Complete Response")
PARTIAL = Code(value="112042", scheme="DCM", meaning="Target Lesion Partial Response")
PROGRESSION = Code(value="112043", scheme="DCM", meaning="Target Lesion Progressive Disease")
STABLE = Code(value="112044", scheme="DCM", meaning="Target Lesion Stable Disease")

#: RECIST 1.1 (Eisenhauer et al., Eur J Cancer 2009;45:228), section 4.3.1: fall from the baseline, rise over the nadir,
#: the rise in mm that must go with it, and the short axis below which a lymph node is normal.
RECIST_PERCENT = (-30.0, 20.0)
RECIST_RISE_MM = 5.0
NORMAL_NODE_MM = 10.0

#: Miller et al., Cancer 1981;47:207: half the sum of products, or a quarter more of a lesion.
WHO_PERCENT = (-50.0, 25.0)

#: Wen et al., J Clin Oncol 2010;28:1963: the category rests on these beside the products.
_RANO = (
    "RANO: measurements only; a category needs the dose of steroids and the clinical status, which images do not tell"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Target lesions over time, in their order, none missing.

    Attributes
    ----------
    earlier
        The target lesions of every earlier time point at hand that has all of them.
    now
        The same lesions now.
    baseline, nadir
        The sum at baseline and the smallest one before now; None where not measured.
    every_study
        Whether no sum between is known to be missing, which might be smaller yet.
    """

    earlier: tuple[tuple[Lesion, ...], ...]
    now: tuple[Lesion, ...]
    baseline: float | None
    nadir: float | None
    every_study: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One way to judge target lesions.

    Attributes
    ----------
    quantity
        Attribute of `Lesion` that is summed.
    percent
        Change from the baseline at which a response begins, and over the nadir at which a progression does.
    why_not
        Why it never has a category; empty where it may.
    """

    name: str
    title: str
    quantity: str
    unit: Code
    percent: tuple[float, float] = (0.0, 0.0)
    why_not: str = ""

    def total(self, lesions: Sequence[Lesion]) -> float | None:
        """Sum over lesions; None where one was not measured or there are none."""
        values = [getattr(lesion, self.quantity) for lesion in lesions]
        return None if not values or None in values else float(sum(values))

    def category(self, sums: Sums) -> Code | None:
        """The response of the target lesions; None where the baseline is zero or something was not measured.

        Where studies are missing, the nadir may have been smaller: a progression stays one, but neither a response nor
        a stable disease is certain.

        Complete is only what can be measured: that all targets are lymph nodes of normal size. Targets that the
        algorithm does not find are not gone, and do not come here.
        """
        if self.why_not:
            return None
        now = self.total(sums.now)
        if now is None or sums.nadir is None or not sums.baseline:
            return None
        if self.name == "recist" and all(
            one.lymph_node and one.short_mm is not None and one.short_mm < NORMAL_NODE_MM for one in sums.now
        ):
            return COMPLETE
        fall, rise = self.percent
        over_nadir = percent(sums.nadir, now)
        # From a nadir of zero any rise is more than any percentage.
        risen = now > 0 if over_nadir is None else over_nadir >= rise
        if self.name == "recist":
            risen = risen and now - sums.nadir >= RECIST_RISE_MM
        if risen or (self.name == "who" and self._one_risen(sums)):
            return PROGRESSION
        if not sums.every_study:
            return None
        from_baseline = percent(sums.baseline, now)
        return PARTIAL if from_baseline is not None and from_baseline <= fall else STABLE

    def _one_risen(self, sums: Sums) -> bool:
        """Whether a single lesion rose over its own nadir (WHO judges lesion by lesion)."""
        for place, lesion in enumerate(sums.now):
            before = [getattr(lesions[place], self.quantity) for lesions in sums.earlier]
            least = min((value for value in before if value is not None), default=0.0)
            changed = percent(least, getattr(lesion, self.quantity))
            if changed is not None and changed >= self.percent[1]:
                return True
        return False


def criterion(name: str, spec: MeasureSpec) -> Criterion:
    """The criterion that a bundle names.

    The default thresholds of volume, -65 % and +73 %, are those of the diameter carried over to balls (0.7³ = 0.34 and
    1.2³ = 1.73) as RECIST 1.0 tabulates them (Therasse et al., J Natl Cancer Inst 2000;92:205, Appendix II).

    Raises
    ------
    KeyError
        If there is none of this name.
    """
    millimeter = Code(value="mm", scheme="UCUM", meaning="millimeter")
    square = Code(value="mm2", scheme="UCUM", meaning="square millimeter")
    cubic = Code(value="cm3", scheme="UCUM", meaning="cubic centimeter")
    known = (
        Criterion(name="recist", title="RECIST 1.1", quantity="size_mm", unit=millimeter, percent=RECIST_PERCENT),
        Criterion(name="who", title="WHO", quantity="product_mm2", unit=square, percent=WHO_PERCENT),
        Criterion(name="rano", title="RANO products", quantity="product_mm2", unit=square, why_not=_RANO),
        Criterion(name="volume", title="volume", quantity="volume_ml", unit=cubic, percent=spec.volume_response),
    )
    return {one.name: one for one in known}[name]
