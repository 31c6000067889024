"""Recipes: which initializer each parameter gets."""

from fanin.recipes._rules import choose as choose
