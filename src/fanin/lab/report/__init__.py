"""Report: the tables, figures and sentences of a comparison."""
