"""The verbs of Keras's adapter."""

from fanin.frameworks.keras._subject import build as build
from fanin.frameworks.keras._subject import place as place
from fanin.frameworks.keras._subject import subject as subject
from fanin.frameworks.keras._target import target as target
