"""Rules of training: rows of what stands against it, whatever the signal does: F17 and on."""

from fanin.checks._descent import judge_weak_gradient
from fanin.checks._first_steps import judge_dying_units, judge_step_size
from fanin.checks._limits import LIMITS as L
from fanin.checks._objective import judge_squashed, judge_targets
from fanin.checks._rule import Rule
from fanin.checks._untrained import judge_starved, judge_untrained

TRAINING_RULES = (
    Rule(
        "F17",
        "untrained",
        (judge_untrained, judge_starved),
        "parameters that no training can move",
        "Which parameters got a gradient, and where the graph is cut between one that did not and "
        "the loss; requires_grad; tensors that require gradients and are used, but are in no "
        "parameter list. Of a weight that is not 0 and has next to no gradient, the operation "
        "that lets none through: a softmax of one value, a division by the sum of one value, a "
        "function of slope 0, a gate that is next to 0, a frozen zero.",
        "parameters that require gradients are behind a cut; or a tensor that requires gradients "
        "is no parameter: a layer in a plain list or dict; or no output depends on what came of a "
        "layer that was run; or a weight's gradient is less than "
        f"{L.starved:g} of the largest one, for one operation that is named",
        "no parameter gets a gradient, or none but the readout; or none requires one",
        "What gets no gradient does not learn, whatever its values are: other weights cannot help, "
        "so no other rule speaks of those layers.",
        "Frozen parameters beside trainable ones; a note for what is used but not needed for the "
        "loss. What a zero weight or a small scale holds back that moves itself; what shrinks from "
        "layer to layer (F03), or behind dead and saturated units (F05, F07).",
        "Take away torch.no_grad(), .detach() or argmax, or freeze what is meant to stay; "
        "nn.ModuleList, nn.ModuleDict, nn.Parameter for what is to be registered.",
        "Arithmetic.",
    ),
    Rule(
        "F18",
        "squashed-logits",
        (judge_squashed,),
        "the loss takes logits, and gets what a softmax or a sigmoid gave",
        "Which activation the loss reads as logits (cross_entropy, "
        "binary_cross_entropy_with_logits) or as logarithms (nll_loss), and what made it.",
        "a softmax or a sigmoid made it",
        "",
        "A softmax of numbers between 0 and 1 is nearly uniform: the loss hardly leaves ln C, and "
        "gradients are small.",
        "log_softmax before cross_entropy, which changes nothing.",
        "Take the softmax or the sigmoid out of the model.",
        "Arithmetic: of C classes the loss stays above ln(1 + (C - 1) / e).",
    ),
    Rule(
        "F19",
        "step-size",
        (judge_step_size,),
        "the optimizer's first steps are too large or too small for this network",
        "With `steps=8` and an optimizer, and only then: eight steps on the batch, each from the "
        "same random states, which are taken back to the bit. The loss; the norm of each weight's "
        "change over that of its values; of SGD also the sharpness, the largest eigenvalue of the "
        "loss's Hessian, by 20 products at most (Lanczos), with its error. That costs ten runs "
        "forward and backward, and of SGD some forty more.",
        f"the loss rises by more than {L.rise_warning:.0%}; the median weight changes by more than "
        f"{L.moved_high:g} of its size in one step; the rate of SGD is beyond "
        f"{L.beyond_stable:g} times 2 / sharpness, with momentum b 2 (1 + b) / sharpness (a "
        f"note from once on); a weight with a gradient changes by less than {L.moved_low:g}",
        f"the loss or a gradient stops being finite, and the layer is named; the loss rises by "
        f"more than {L.rise_error:g} times; no weight changes by {L.moved_low:g}",
        "Along the sharpest direction plain gradient descent grows beyond 2 / sharpness; from up "
        "to twice that rate the first steps may throw a network to a flatter place, where it "
        "trains. Of changes below the resolution of the type nothing remains.",
        "Weights that start at zero. A rate that a schedule holds at 0: its initial_lr is taken.",
        "The range of rates that the finding names; a warm-up; float32 weights with autocast.",
        "Cohen et al. 2021, section 2; Lewkowycz et al. 2020; Paige 1980.",
    ),
    Rule(
        "F20",
        "dying-units",
        (judge_dying_units,),
        "units die in the first steps",
        "With `steps=8` and an optimizer: the share of a layer's units that fired on the batch "
        "before the steps, and are 0 on all inputs after them.",
        f"it is more than {L.dead_warning:.0%}",
        f"it is more than {L.dead_error:.0%}",
        "A rate that is too large throws biases so far down that rectifiers never fire again; they "
        "get no gradient, and stay dead.",
        "Within a residual branch it is a warning at most.",
        "A smaller rate or a warm-up; leaky_relu.",
        "Lu et al. 2019.",
    ),
    Rule(
        "F21",
        "targets",
        (judge_targets,),
        "the loss compares outputs with targets that they cannot reach, or with those of others",
        "The first subtraction of targets that are real numbers within the loss: the shapes of "
        "both, the function that made the output, and the share of targets that it cannot give.",
        f"more than {L.unreached_warning:.0%} of the targets are below 0 behind ReLU, softplus or "
        "exp, outside of 0 to 1 behind a sigmoid, of -1 to 1 behind tanh",
        "targets of shape (N,) meet outputs of shape (N, 1), or the other way round",
        "Of (N, 1) and (N,) every output is compared with every target, and the network learns "
        "their mean. What an activation cannot give no training reaches.",
        "Targets that the loss lays out or scales itself.",
        "targets[..., None]; no activation at the end, or targets in its range.",
        "Arithmetic.",
    ),
    Rule(
        "F22",
        "weak-gradient",
        (judge_weak_gradient,),
        "the gradient is too small for SGD",
        "Of a cross-entropy, or squares of numbers, at a network that knows nothing yet: the loss "
        "over the squared norm of the gradient of all weights. So many steps of SGD at rate 0.1 "
        "with momentum 0.9 take the loss to 0, if it goes on falling as it begins. And the largest "
        "norm of a weight's gradient over its own: what a step changes of it.",
        "",
        f"so many steps are above {L.descent_steps:g} and no step changes a weight by "
        f"{L.descent_moved:g}, and the check was told that the optimizer is SGD; a note where it "
        "was told none",
        "A gradient shrinks with the weights behind it, and SGD's steps with the gradient. Adam "
        "divides by it: in the calibration networks with gradients of 1e-13 trained by AdamW.",
        "Any other optimizer; biases and scales, which only learn how frequent each class is.",
        "Larger weights, as fanin.initialize gives them; or AdamW.",
        "Arithmetic: a step of rate r lowers the loss by r |g|**2.",
    ),
)
