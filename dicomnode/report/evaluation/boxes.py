"""Box plots of an evaluation as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

#: Inches; a plot for each figure side by side.
_WIDTH, _HEIGHT = 3.1, 3.2

_COLOUR = "#3b6ea5"

#: So many cases are also drawn one by one.
_MOST_POINTS = 200


def box_plots(plots: Mapping[str, Mapping[str, Sequence[float]]]) -> bytes:
    """One plot for each name, with a box for each class in it: quartiles, median, whiskers to 1.5 times their distance.

    Parameters
    ----------
    plots
        Title of a plot → class → values.
    """
    figure = Figure(figsize=(_WIDTH * max(1, len(plots)), _HEIGHT), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    random = np.random.default_rng(0)
    for number, (title, classes) in enumerate(plots.items(), start=1):
        axes = figure.add_subplot(1, len(plots), number)
        values = [np.asarray(of, dtype=float) for of in classes.values()]
        places = list(range(1, len(values) + 1))
        axes.boxplot(values, positions=places, widths=0.6, showfliers=False, medianprops={"color": _COLOUR})
        for place, of in zip(places, values, strict=True):
            if len(of) <= _MOST_POINTS:
                beside = place + random.uniform(-0.15, 0.15, len(of))
                axes.plot(beside, of, "o", markersize=3, alpha=0.5, color=_COLOUR, markeredgewidth=0)
        axes.set_title(title, fontsize=9)
        labels = [f"{name}\n(n={len(of)})" for name, of in zip(classes, values, strict=True)]
        axes.set_xticks(places, labels, fontsize=7)
        axes.tick_params(axis="y", labelsize=8)
        axes.grid(axis="y", alpha=0.3)
    out = BytesIO()
    # Without the version of the library in it, the same figures are the same bytes.
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
