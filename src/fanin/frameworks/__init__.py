"""Adapters: translate a framework's model into Params, and write values; never decide."""

from fanin.frameworks._detect import adapter_for as adapter_for
