import pytest

from fanin import cli, gain
from fanin.gains import names


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["gain", *arguments]) == 0
    return capsys.readouterr().out


def value(text: str, what: str) -> str:
    """The last word of the line that starts so."""
    return next(line for line in text.splitlines() if line.strip().startswith(what)).split()[-1]


def test_gelu_prints_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "gelu")
    assert value(text, "forward gain") == "1.53353"
    assert value(text, "backward gain") == "1.48111"
    assert value(text, "growth of a squared gradient") == "1.07203"
    assert value(text, "torch's gain") == "-"
    assert value(text, "chi1") == "1.07203"
    assert value(text, "c*") == "0.760402"
    assert "variance map V(q) and the line V = q" in text
    assert "⡇" in text  # the plot
    assert "\x1b" not in text  # no colour where the output is no terminal


def test_options_reach_the_theory(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(
        capsys, "tanh", "--weight-variance", "1.5", "--bias-variance", "0.05", "--variance", "2"
    )
    assert value(text, "forward gain") == f"{gain('tanh', variance=2.0):.6g}"
    assert "depth, at weight variance 1.5 / fan_in and bias variance 0.05" in text
    assert value(text, "a signal's variance") == "settles"
    assert value(text, "q*") == "0.418037"
    assert value(text, "chi1") == "0.938636"
    assert value(text, "xi_c") == "15.791"
    assert value(text, "trainable") == "94.746"
    assert value(text, "critical weight variance") == "1.76095"
    assert value(text, "torch's gain") == "1.66667"


@pytest.mark.parametrize("weight_variance", ["0.5", "3"])
def test_nothing_is_mapped_without_a_fixed_point(
    capsys: pytest.CaptureFixture[str], weight_variance: str
) -> None:
    text = printed(capsys, "relu", "--weight-variance", weight_variance)
    assert "becomes" not in text
    assert value(text, "c*") == "-"


def test_a_function_can_be_imported(capsys: pytest.CaptureFixture[str]) -> None:
    assert value(printed(capsys, "numpy:tanh"), "forward gain") == "1.59254"
    text = printed(capsys, "numpy:sign")
    assert value(text, "backward gain") == "-"
    assert "the derivative of sign is zero for these inputs" in " ".join(text.split())


def test_the_list_holds_every_name(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--list")
    assert set(names()) < set(text.replace(",", " ").split())
    assert value(text, "tanh") == "1.66667"


@pytest.mark.parametrize("command", ["gain", "init"])
def test_narrow_tables_fold_and_cut_nothing(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main([command, "--list"]) == 0
    text = capsys.readouterr().out
    assert "…" not in text
    assert max(map(len, text.splitlines())) == 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gelo"], "unknown activation 'gelo': did you mean 'gelu'?"),
        ([], "give an activation, such as gelu, or --list."),
        (["gelu", "--list"], "give an activation, such as gelu, or --list."),
        (["softmax"], "softmax has no gain: one output depends on many inputs"),
        (["relu", "--variance", "0"], "variance is 0.0; it must be a finite number > 0."),
        (["relu", "--variance", "x"], "argument --variance: invalid float value: 'x'."),
        (["relu", "--bias-variance", "-1"], "bias_variance is -1.0; it must be"),
        (
            ["numpy:tahn"],
            "activation 'numpy:tahn' cannot be imported: AttributeError: module 'numpy' has no",
        ),
        (
            ["nowhere:f"],
            "activation 'nowhere:f' cannot be imported: ModuleNotFoundError: No module named",
        ),
        ([":f"], "activation ':f' cannot be imported: ValueError: Empty module name"),
        (["numpy:"], "activation 'numpy:' cannot be imported"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["gain", *arguments]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith(f"fanin: error: {message}")
    assert error.count("\n") == 1


def test_a_class_is_made_without_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["gain", "torch.nn:ReLU"]) == 0
    assert "1.41421" in capsys.readouterr().out
    assert cli.main(["gain", "torch.nn:Linear"]) == 2
    assert "is a class that cannot be made without arguments" in capsys.readouterr().err
