"""Subject: the JAX model that a checkup is of."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fanin._columns import list_once
from fanin.errors import FaninError
from fanin.frameworks._adapter import Facts
from fanin.frameworks._first_steps import FirstSteps, RunAsked, StepsAsked
from fanin.frameworks._functional import Functional
from fanin.frameworks._observation import Observation
from fanin.frameworks.jax._program import Leaf, Program
from fanin.frameworks.jax.doors._door import Door, refuse_traced
from fanin.frameworks.jax.doors._inputs import CallArguments, read_call
from fanin.frameworks.jax.observe._backward import limits_of
from fanin.frameworks.jax.observe._mode import mode_of
from fanin.frameworks.jax.observe._objective import Objective
from fanin.frameworks.jax.observe._observe import learns, observe
from fanin.frameworks.jax.observe._steps import is_sgd, take_steps
from fanin.frameworks.jax.tree._held import is_abstract, is_array, is_real
from fanin.frameworks.jax.tree._names import names_of
from fanin.frameworks.observing._own_loss import takes_labels


class Subject:
    """What `fanin.frameworks._adapter.Subject` says, of a model as a function of its arrays.

    `make` gives its run on inputs as a program, whose values may be those of `leaves` alone;
    `mapped` says that it may be mapped over a batch. `first` is what the function is called with
    before its inputs, `read` how these are its arguments, and `road` how values are drawn.
    """

    def __init__(
        self,
        function: Any,
        leaves: Sequence[Leaf],
        make: Callable[[Any], Program],
        road: str,
        *,
        first: tuple[Any, ...] = (),
        read: Callable[[Any], CallArguments] = read_call,
        mapped: bool = False,
        framework: str = "",
        loss: Callable[..., Any] | None = None,  # the model's, of targets
    ) -> None:
        for leaf in leaves:
            if is_abstract(leaf.value):
                raise FaninError(
                    f"{leaf.name} of shape {tuple(leaf.value.shape)} has no values to check: it is "
                    f"abstract. Draw them first: {road}."
                )
        self._function, self._make, self._first, self._mapped = function, make, first, mapped
        self._values = [leaf.value for leaf in leaves if leaf.trained]
        self._read, self._loss = read, loss
        self._framework = framework or f"jax {jax.__version__}"

    @property
    def facts(self) -> Facts:
        """What a report says of the model and the machine."""
        return Facts(
            model=getattr(self._function, "__name__", type(self._function).__name__),
            parameters=sum(value.size for value in self._values),
            framework=self._framework,
            dtype=list_once(value.dtype.name for value in self._values),
            device=list_once(_devices(self._values)),
            mode=mode_of(self._function),
        )

    @property
    def tiny(self) -> float:
        """The smallest number that the types of the model hold in full."""
        types = {value.dtype for value in self._values}
        real = [dtype for dtype in types if jnp.issubdtype(dtype, jnp.floating)]
        return max((float(limits_of(dtype).tiny) for dtype in real), default=0.0)

    def batch_of(self, inputs: Any) -> int:
        """How many inputs a batch holds: the first size of its first array that has one."""
        arrays = _arrays_in(self._read(inputs))
        if arrays and not any(array.size for array in arrays):
            raise FaninError("inputs hold no values, so there is nothing to measure; pass a batch.")
        return next((len(array) for array in arrays if array.ndim), 1)

    def observe(self, run: RunAsked) -> Observation:
        """One close look; chance is that of the keys that the model or its inputs hold."""
        objective = self._objective(run)
        return self._look(self._make(run.inputs), objective, run)

    def find_left_out(self, optimizer: object) -> tuple[str, ...]:
        """None: an optimizer here holds no parameters."""
        return ()

    def is_sgd(self, optimizer: object) -> bool | None:
        """Whether its first step is as long as the gradient says; None where it does not tell."""
        return is_sgd(optimizer)

    def take_steps(self, run: RunAsked, asked: StepsAsked) -> FirstSteps:
        """The first steps of training, on copies."""
        objective = self._objective(run)
        program = self._make(run.inputs)
        learning = [at for at, leaf in enumerate(program.leaves) if learns(leaf)]
        # The slopes that JAX gives of complex numbers are not those to go down.
        trained = [at for at in learning if not np.iscomplexobj(program.leaves[at].value)]
        look = partial(self._look, objective=objective, run=run)
        return take_steps(program, trained, objective, asked, look)

    def _look(self, program: Program, objective: Objective, run: RunAsked) -> Observation:
        return observe(program, objective, run.flat, run.same, mapped=self._mapped)

    def _objective(self, run: RunAsked) -> Objective:
        args, kwargs = call = self._read(run.inputs)
        for array in _arrays_in(call):
            if is_abstract(array):
                raise FaninError(
                    f"inputs hold an array of shape {tuple(array.shape)} without values, and a "
                    "checkup runs the model. Pass a batch of real data."
                )
        labelled = takes_labels(self._function, [*self._first, *args], kwargs)
        loss = run.loss or (None if run.targets is None else self._loss)
        return Objective(run.targets, loss, run.seed, labelled)


def subject_of(door: Door, model: Any) -> Subject:
    """The subject of a model behind a door; FaninError where an array has no values."""
    refuse_traced(door.held)
    names = names_of(door.held, None)
    functional = model if isinstance(model, Functional) else None
    road = "fanin.initialize(model, seed=0, inputs=x)"
    if door.library == "equinox":
        road = "model, plan = fanin.initialize_params(model, seed=0, inputs=x)"
    elif functional is not None:
        road = (
            "params, plan = fanin.initialize_params(model, params, seed=0, inputs=x), and pass "
            "params=params"
        )
    tree = None if functional is None else functional.params
    return Subject(
        model if functional is None else functional.model,
        [
            Leaf(name, item.value, item.trained, "")
            for name, item in zip(names, door.held, strict=True)
        ],
        lambda inputs: door.program(inputs, names),
        road,
        first=() if tree is None else (tree,),
        mapped=door.library == "equinox",
    )


def _arrays_in(call: CallArguments) -> list[Any]:
    """The arrays that a model is called with, in the order of its arguments; keys left out."""
    args, kwargs = call
    leaves = [
        leaf for value in (*args, *kwargs.values()) for leaf in jax.tree_util.tree_leaves(value)
    ]
    arrays = [leaf for leaf in leaves if is_array(leaf)]
    numbers = [leaf for leaf in arrays if jnp.issubdtype(leaf.dtype, np.number)]
    return [leaf for leaf in numbers if is_real(leaf)] or numbers


def place(values: Any, model: Any) -> Any:
    """Arrays, alone or in a tuple, as those of JAX; real ones in the type of the model's.

    None stays None.
    """
    if isinstance(values, tuple):
        return tuple(place(value, model) for value in values)
    if values is None:
        return None
    held = model.params if isinstance(model, Functional) and model.params is not None else model
    held = held.model if isinstance(held, Functional) else held
    leaves = jax.tree_util.tree_leaves(held)
    real = next((leaf.dtype for leaf in leaves if is_real(leaf)), None)
    return jnp.asarray(values, real if is_real(values) else None)


def _devices(values: list[Any]) -> Iterator[str]:
    for value in values:
        for device in sorted(value.devices(), key=str) if isinstance(value, jax.Array) else ():
            own = device.platform
            yield own if own == "cpu" and device.id == 0 else f"{own}:{device.id}"
