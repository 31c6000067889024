"""Statistics: intervals, paired tests and families of comparisons."""
