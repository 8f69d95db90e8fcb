"""Generated parts of the pages."""
