# SPDX-License-Identifier: MIT
"""What the plots of this folder have in common; needs matplotlib."""


def new_plot(panels=1):
    """A figure and its axes: one, or an array of them side by side."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "side_by_side"  # the same numbers give the same file
    from matplotlib import pyplot

    return pyplot.subplots(ncols=panels, figsize=(8 if panels == 1 else 6 * panels, 5.5), layout="constrained")


def style(axes):
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(True, which="both", alpha=0.25)
    axes.legend(fontsize="small")


def save_plot(figure, path):
    for axes in figure.axes:
        style(axes)
    figure.savefig(path, format="svg", metadata={"Date": None})
