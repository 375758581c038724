"""The attributes by which stacks of one series are told apart, in the order in which they are tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Separator:
    """One attribute that may tell stacks apart.

    Attributes
    ----------
    name
        What a value stands for, in words.
    keywords
        DICOM keywords; the first that is present counts.
    before, unit
        What stands before and behind a value in a label.
    strong
        Whether the attribute never changes within one stack, so that it tells stacks apart even where their slices
        interleave or lie apart. The others change within a stack, too (a helical scan has a time per slice), and count
        only where they sort images at the same positions into complete stacks.
    adjacent
        Whether a strong attribute tells stacks apart that lie beside each other, too: parts of a scan in thinner and in
        thicker slices are no two scans.
    """

    name: str
    keywords: tuple[str, ...]
    before: str = ""
    unit: str = ""
    strong: bool = False
    adjacent: bool = True

    def label(self, place: int, count: int, value: tuple[Any, ...]) -> str:
        """Such as `echo 2 of 2 (TE 30 ms)`."""
        shown = "\\".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value) or "none"
        words = " ".join(word for word in (self.before, shown, self.unit) if word)
        return f"{self.name} {place} of {count} ({words})"


#: Those that concern what is shown come before those of contrast, and these before time.
SEPARATORS: tuple[Separator, ...] = (
    Separator(name="stack", keywords=("StackID",), before="ID", strong=True),
    Separator(name="image type", keywords=("FrameType", "ImageType"), strong=True),
    Separator(name="component", keywords=("ComplexImageComponent",), strong=True),
    Separator(name="unit", keywords=("Units",), strong=True),
    Separator(name="kernel", keywords=("ConvolutionKernel",), strong=True),
    Separator(name="reconstruction filter", keywords=("FilterType",), strong=True),
    Separator(name="reconstruction algorithm", keywords=("ReconstructionAlgorithm",), strong=True),
    Separator(name="slice thickness", keywords=("SliceThickness",), unit="mm", strong=True, adjacent=False),
    Separator(name="echo", keywords=("EffectiveEchoTime", "EchoTime"), before="TE", unit="ms", strong=True),
    Separator(name="echo", keywords=("EchoNumbers",), before="number", strong=True),
    Separator(name="inversion time", keywords=("InversionTimes", "InversionTime"), unit="ms", strong=True),
    Separator(name="flip angle", keywords=("FlipAngle",), unit="degrees", strong=True),
    Separator(name="diffusion weighting", keywords=("DiffusionBValue",), before="b", unit="s/mm2", strong=True),
    Separator(name="diffusion directionality", keywords=("DiffusionDirectionality",), strong=True),
    Separator(name="diffusion direction", keywords=("DiffusionGradientOrientation",), strong=True),
    Separator(name="tube voltage", keywords=("KVP",), unit="kV"),
    Separator(name="contrast phase", keywords=("ContrastBolusAgentPhase",)),
    Separator(name="time point", keywords=("TemporalPositionIndex", "TemporalPositionIdentifier"), before="index"),
    Separator(name="cardiac phase", keywords=("NominalPercentageOfCardiacPhase",), unit="%"),
    Separator(name="trigger", keywords=("NominalCardiacTriggerDelayTime", "TriggerTime"), unit="ms"),
    Separator(name="time frame", keywords=("FrameReferenceTime",), unit="ms"),
    Separator(name="time offset", keywords=("TemporalPositionTimeOffset",), unit="s"),
    Separator(name="reference time", keywords=("FrameReferenceDateTime",)),
)

#: What changes with the time for reasons of its own, tried after the dimensions that a multi-frame object names itself.
LAST_SEPARATORS: tuple[Separator, ...] = (
    Separator(name="acquisition", keywords=("AcquisitionNumber", "FrameAcquisitionNumber"), before="number"),
    Separator(name="series time", keywords=("SeriesTime",)),
    Separator(name="acquisition time", keywords=("FrameAcquisitionDateTime", "AcquisitionDateTime", "AcquisitionTime")),
    Separator(name="object", keywords=("InstanceNumber",), before="number"),
)

#: Numbers that order images at the same position where none sorts them: attribute and its name.
ORDERS: tuple[tuple[str, str], ...] = (
    ("TriggerTime", "Trigger Time"),
    ("FrameReferenceTime", "Frame Reference Time"),
    ("FrameReferenceDateTime", "Frame Reference DateTime"),
    ("FrameAcquisitionDateTime", "Frame Acquisition DateTime"),
    ("AcquisitionTime", "Acquisition Time"),
    ("ContentTime", "Content Time"),
    ("InstanceNumber", "Instance Number"),
)
