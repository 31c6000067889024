"""Values that are known by their hash."""

import hashlib

import numpy as np
import pytest

from fanin import FaninError
from fanin.initializers import get
from fanin.initializers._computed import Computed

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)
DIGEST = hashlib.sha256(VALUES.tobytes()).hexdigest()


def test_values_are_given_as_they_are_and_in_part() -> None:
    made = Computed(DIGEST, VALUES)
    assert np.array_equal(made((2, 3), seed=1, name="w"), VALUES)
    assert np.array_equal(made((2, 3), seed=2, name="v", index=(slice(0, 1), 2)), VALUES[:1, 2])
    assert not made.seeded
    assert made.std((2, 3)) == pytest.approx(VALUES.std())


def test_it_is_known_by_its_hash_in_a_file_and_without_values() -> None:
    made = Computed(DIGEST, VALUES)
    assert get(made._expression()) == made == made.forget()
    assert str(made) == f"computed(<sha256 {DIGEST[:8]}...>)"
    with pytest.raises(FaninError, match="holds their hash alone"):
        made.forget()((2, 3), seed=0, name="w")


def test_another_shape_and_what_is_no_hash_are_refused() -> None:
    with pytest.raises(FaninError, match=r"have shape \(2, 3\), the parameter has \(3, 2\)"):
        Computed(DIGEST, VALUES)((3, 2), seed=0, name="w")
    with pytest.raises(FaninError, match="digest of computed is 'abc'; it is a SHA-256"):
        get("computed('abc')")
