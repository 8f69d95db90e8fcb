"""The HTML report of a finished run; each module of figures draws one section of the page."""
