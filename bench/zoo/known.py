"""What is outside of the rule of bench/zoo, and why: by model, so that a new one shows."""

_GROWN = (
    "a batch normalization reads a residual stream that branches made larger: in train mode it "
    "gives RMS 1, in eval mode what it gets, and the plan is made for eval"
)

# (outputs outside in train and eval mode together, reason)
OUTSIDE: dict[str, tuple[int, str]] = {
    "convmixer_768_32": (
        39,
        "eval mode, where nothing normalizes: what a depthwise convolution gives a channel is "
        "as large as the channel, so branch and stream are not independent; 8% a block",
    ),
    "dpn68": (5, _GROWN),
    "efficientnet_b0": (
        39,
        "eval mode, where nothing normalizes: silu lets a larger share through the larger its "
        "input is, so that a small deviation grows from layer to layer",
    ),
    "visformer_tiny": (24, _GROWN),
}
# Gradients that differ by more than 20 along a stream or chain.
SPANS: dict[str, str] = {
    "diffusers/VQModel": "the nearest code stands for each vector, so the gradient of the codes is "
    "that of distances; the model's own start has 3.2e4",
    "dm_nfnet_f0": "gains of zero at the end of branches are the model's method, and stay: no "
    "gradient enters a branch in the first step",
    "transformers/falcon": "20.2 behind the last weight of an MLP; not explained",
}
