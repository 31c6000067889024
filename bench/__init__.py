"""Measurements that anyone can repeat, by what they measure: python -m bench.FOLDER.NAME."""
