"""Plans: which initializer each parameter gets."""

from fanin.plan._rules import choose as choose
