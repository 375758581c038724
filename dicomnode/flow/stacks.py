"""Splits what was sent as one series into the stacks that rules and models look at."""

from __future__ import annotations

from dataclasses import replace

from dicomnode.domain.study import Series, Study
from dicomnode.infer.read.stacks import stacks_of
from dicomnode.route.contours import holds_contours


def in_stacks(study: Study) -> Study:
    """The same study with every stack as a series of its own, under the Series Instance UID that it was sent with.

    So a condition holds for every instance of a stack, and a localizer inside a series does not decide. Every object
    with contours stands alone: each is measured on its own.
    """
    return replace(study, series=tuple(stack for series in study.series for stack in _stacks(series)))


def _stacks(series: Series) -> tuple[Series, ...]:
    if holds_contours(series) and len(series.instances) > 1:
        return tuple(
            replace(series, instances=(one,), stack=f"object {one.sop_instance_uid}") for one in series.instances
        )
    if not any("Rows" in instance.header for instance in series.instances):
        return (series,)
    groups = stacks_of([instance.header for instance in series.instances])
    if len(groups) < 2:
        return (series,)
    return tuple(
        replace(series, instances=tuple(series.instances[index] for index in group.indices), stack=group.label)
        for group in groups
    )
