"""Studies: what articles and papers say about initialization, measured again.

`fanin study NAME` runs one. A study's module defines STUDY; `_registry` lists the modules. Names
are looked up on first use, so that `fanin study --help` needs none of the lab's libraries.
"""
