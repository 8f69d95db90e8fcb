"""Write the generated parts of README.md and of the pages in docs/: `make readme`.

A part stands between `<!-- begin NAME -->` and `<!-- end NAME -->`; a test fails if one is stale.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from iic.core.errors import InputError
from iic.core.files import write_text
from iic.experiments.commands import output_of
from iic.pipeline.paths import CLUSTERING, SEGMENTATION, Pipeline
from tools.chaos.campaigns import CAMPAIGNS, read_counts
from tools.command import run_main
from tools.docs import clusterings, reproducibility, scaling, segmentation
from tools.docs.results import recipes, results, targets
from tools.docs.speed import command, details, memory, methods, prediction, sizes, speed
from tools.docs.tables import markdown_table


def graph(pipeline: Pipeline = CLUSTERING) -> str:
    """Return the graph of the stages of a pipeline in Mermaid, as `dvc dag` draws it."""
    drawn = output_of("dvc", "dag", "--md", str(pipeline.stages)).strip()
    return drawn.replace(f"{pipeline.stages}:", "")


def reliability() -> str:
    """Return a table of the campaigns of `make chaos`: trials, losses and outcomes."""
    counts = read_counts()
    rows = []
    for name, campaign in CAMPAIGNS.items():
        if name in counts:
            tried, lost = counts[name]["tried"], len(counts[name]["lost"])
            seen = ", ".join(f"{what}: {times}" for what, times in counts[name]["details"].items())
            rows.append((campaign.what, f"{tried:,}", str(lost or "nothing"), seen))
    return markdown_table("what is tried | trials | lost | outcomes", rows)


class GeneratedPart(NamedTuple):
    """A generated part of a page.

    Attributes:
        page: Path of the page, relative to the repository.
        name: Name in the markers.
        make: Function that returns the part's Markdown.
    """

    page: Path
    name: str
    make: Callable[[], str]


_README, _DOCS = Path("README.md"), Path("docs")
PARTS = (
    GeneratedPart(_README, "recipes", recipes),
    GeneratedPart(_DOCS / "method.md", "graph", graph),
    GeneratedPart(_DOCS / "segmentation.md", "graph", partial(graph, SEGMENTATION)),
    GeneratedPart(_DOCS / "results.md", "results", results),
    GeneratedPart(_DOCS / "results.md", "targets", targets),
    GeneratedPart(_DOCS / "speed.md", "speed", speed),
    GeneratedPart(_DOCS / "speed.md", "details", details),
    GeneratedPart(_DOCS / "speed.md", "command", command),
    GeneratedPart(_DOCS / "speed.md", "sizes", sizes),
    GeneratedPart(_DOCS / "speed.md", "memory", memory),
    GeneratedPart(_DOCS / "speed.md", "methods", methods),
    GeneratedPart(_DOCS / "speed.md", "predict", prediction),
    GeneratedPart(_DOCS / "segmentation.md", "textures", partial(segmentation.peers, "default")),
    GeneratedPart(_DOCS / "segmentation.md", "earth", partial(segmentation.peers, "earth")),
    GeneratedPart(_DOCS / "segmentation.md", "study", segmentation.study),
    GeneratedPart(_DOCS / "segmentation.md", "pictures", segmentation.pictures),
    GeneratedPart(_DOCS / "scikit-learn.md", "clusterings", clusterings.clusterings),
    GeneratedPart(_DOCS / "scikit-learn.md", "calls", clusterings.calls),
    GeneratedPart(_DOCS / "reliability.md", "reliability", reliability),
    GeneratedPart(_DOCS / "scaling.md", "costs", scaling.costs),
    GeneratedPart(_DOCS / "scaling.md", "sweep", scaling.sweep),
    GeneratedPart(_DOCS / "scaling.md", "estimate", scaling.estimate),
    GeneratedPart(_DOCS / "reproducibility.md", "conditions", reproducibility.conditions),
    GeneratedPart(_DOCS / "reproducibility.md", "moves", reproducibility.moves),
    GeneratedPart(_DOCS / "reproducibility.md", "training time", reproducibility.costs),
)
PAGES = tuple(dict.fromkeys(part.page for part in PARTS))


def render(page: Path, text: str) -> str:
    """Replace each generated part of a page, between its markers.

    Args:
        page: Path of the page, as in PARTS.
        text: The page's Markdown.

    Returns:
        The Markdown with current parts.

    Raises:
        InputError: A part has no markers, or several pairs of them.
    """
    for _, name, make in (part for part in PARTS if part.page == page):
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise InputError(f"{page}: expected one pair of markers for {name!r}")
        before, _, rest = text.partition(begin)
        text = before + begin + make() + "\n" + end + rest.partition(end)[2]
    return text


def main(arguments: list[str]) -> None:
    """Rewrite the generated parts of all pages."""
    if arguments:
        raise InputError("python -m tools.docs.readme takes no argument")
    for page in PAGES:
        write_text(page, render(page, page.read_text("utf-8")))


if __name__ == "__main__":
    run_main(main)
