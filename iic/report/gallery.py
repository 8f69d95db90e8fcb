"""All figures of the report, in the order of the page."""

from iic.render.pictures import Picture
from iic.report import confidence, method, mistakes, results, scaling
from iic.report.run import Run


def render_pictures(run: Run, label: str) -> list[Picture]:
    """Draw all figures that the data of a run allow.

    Args:
        run: The finished run.
        label: Class whose overclusters are shown as images.

    Returns:
        Figures in the order of the page.
    """
    labelled = run.is_labelled
    has_mistakes = labelled and not run.is_correct.all()
    drawn = [
        method.operations(run),
        method.neighbors(run) if run.neighbors.shape[1] else None,
        results.joint(run),
        results.training(run),
        results.accuracy(run) if labelled else None,
        results.losses(run),
        results.overclusters(run),
        results.samples(run, label) if labelled else results.members(run),
        confidence.calibration(run) if labelled else confidence.distribution(run),
        confidence.sizes(run),
        confidence.stability(run) if run.has_stability else None,
        mistakes.most_confident(run) if has_mistakes else None,
        mistakes.confusion(run) if has_mistakes else None,
        mistakes.crossed_sevens(run) if len(mistakes.find_crossed_sevens(run)) else None,
        None if labelled else mistakes.least_confident(run),
        scaling.seconds(run) if {"machine", "scaling"} <= run.benchmark.keys() else None,
    ]
    return [picture for picture in drawn if picture is not None]
