"""The doors to the analysis: saturate, gain and phase."""

import csv
import io
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from jaxact import mean_field
from jaxact.cli import output
from jaxact.initializers import torch_gain
from jaxact.testing import peers


def table(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


# --- saturate ---------------------------------------------------------------------------------------------


def test_saturate_prints_what_the_library_finds(call):
    code, out, err = call("saturate", "tanh", "--vs", "jax.nn", "--dtype", "float32", "bfloat16", "--json")
    assert (code, err) == (0, "")
    found = {(one["who"], one["dtype"]): one for one in map(json.loads, out.splitlines())}
    assert list(found) == [(who, dtype) for who in ("jaxact", "jax.nn") for dtype in ("float32", "bfloat16")]
    for (who, dtype), one in found.items():
        fn = jaxact.tanh if who == "jaxact" else peers.function("jax.nn", "tanh")
        regions = jaxact.saturation_regions(fn, dtype=dtype)
        assert [float(span["low"]) for span in one["saturated"]] == regions.saturated[:, 0].tolist()
        assert [float(span["high"]) for span in one["dead"]] == regions.dead[:, 1].tolist()
        assert tuple(span["cause"] for span in one["dead"]) == regions.causes
        assert (one["max_slope"], one["argmax"], one["roots"]) == (1, 0, [])
        shares = jaxact.normal_share(regions.dead.astype(float))
        assert [span["share"] for span in one["dead"]] == shares.tolist()
        assert one["share"]["dead"] == pytest.approx(shares.sum())
    assert found["jaxact", "float32"]["saturated"][1]["low"] == np.float32(math.acosh(10))
    assert {span["cause"] for span in found["jax.nn", "bfloat16"]["dead"]} == {"rounding"}
    assert {span["cause"] for span in found["jaxact", "float32"]["dead"]} == {"underflow"}
    assert found["jax.nn", "bfloat16"]["share"]["lost"] == found["jax.nn", "bfloat16"]["share"]["dead"] > 1e-4


def test_saturate_as_table_file_and_picture(call, tmp_path):
    code, out, err = call(
        *("saturate", "silu", "SiLU", "relu", "--csv", "new/s.csv", "--out", "new/s.png", "--threshold", "0.02")
    )
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[-2:] == ["new/s.csv", "new/s.png"]
    assert "|f'| < 0.02 max |f'|" in lines[0]
    assert out.count("silu") == 1  # two spellings of one function
    rows = table(tmp_path / "new" / "s.csv")
    assert {row["region"] for row in rows} == {"steepest", "saturated", "root", "dead"}
    (root,) = (row for row in rows if row["region"] == "root")
    assert np.float32(root["low"]) == np.float32(-1.2784645)
    assert root["low"] in out
    (dead,) = (row for row in rows if row["activation"] == "relu" and row["region"] == "dead")
    assert (dead["low"], float(dead["high"]), dead["cause"]) == ("-inf", 0, "mathematics")
    assert float(dead["share_of_n01"]) == 0.5
    assert [row["cause"] for row in rows if row["region"] == "saturated"] == ["", "root", ""]
    assert (tmp_path / "new" / "s.png").read_bytes().startswith(b"\x89PNG")


def test_saturate_within_a_domain_and_without_a_peer(call):
    arguments = ("saturate", "snake", "torch:gelu", "--vs", "jax.nn", "--domain", "-2", "inf", "--json")
    code, out, err = call(*arguments, "--domain", "-2", "3")
    assert (code, err) == (0, "jaxact: jax.nn has no snake\n")
    found = [json.loads(line) for line in out.splitlines()]
    assert [(one["function"], one["who"]) for one in found] == [
        ("snake", "jaxact"),
        ("gelu(approximate=False)", "jaxact"),
        ("gelu(approximate=False)", "jax.nn"),
    ]
    assert len(found[0]["roots"]) == 2
    assert found[0]["domain"] == [-2, 3]
    code, out, _ = call("saturate", "exp", "--domain", "-inf", "88", "--json")
    assert (code, json.loads(out)["argmax"]) == (0, 88)


@pytest.mark.parametrize(
    ("fn", "dtype", "causes"),
    [
        (jaxact.relu, "float32", ("mathematics",)),
        (jaxact.elu, "float32", ("underflow",)),
        (jaxact.elu, "float64", ("underflow",)),
        (jaxact.elu, "float16", ("underflow",)),
        (jax.nn.elu, "float32", ("rounding",)),
        (jax.nn.sigmoid, "float16", ("rounding", "rounding")),
        (jax.nn.sigmoid, "float32", ("underflow", "rounding")),
        (jnp.tanh, "float64", ("rounding", "rounding")),
    ],
)
def test_causes_of_death(fn, dtype, causes):
    assert jaxact.saturation_regions(fn, dtype=dtype).causes == causes


def test_functions_of_jax():
    assert peers.function("jax.nn", "tanh")(1.0) == jnp.tanh(1.0)
    assert peers.function("jax.nn", "leaky_relu(0.25)")(-1.0) == -0.25
    assert peers.function("jax.nn", "snake") is None
    with pytest.raises(jaxact.InputError, match="none of the installed peers"):
        peers.function("nonsense", "tanh")


# --- gain -------------------------------------------------------------------------------------------------


def test_gain(call, tmp_path):
    names = ("relu", "tanh", "leaky_relu(0.2)", "selu", "sign", "gelu", "identity")
    code, out, err = call("gain", *names, "--json", "--csv", "gains.csv")
    assert (code, err) == (0, "")
    found = [json.loads(line) for line in out.splitlines()]
    for one in found:
        fn = jaxact.get(one["activation"])
        moments = jaxact.moments(fn)
        assert (one["second"], one["slope"]) == (moments.second, moments.slope)
        assert one["forward"] == jaxact.gain(fn)
        assert one["backward"] == (None if one["activation"] == "sign" else jaxact.gain(fn, "backward"))
    assert [one["torch"] for one in found] == [2**0.5, 5 / 3, (2 / 1.04) ** 0.5, 0.75, None, None, 1]
    rows = table(tmp_path / "gains.csv")
    assert [list(row) for row in rows[:1]] == [list(found[0])]
    assert [row["backward"] for row in rows][4] == ""
    assert float(rows[1]["forward"]) == found[1]["forward"]
    code, out, _ = call("gain", *names, "--q", "2")
    assert (code, out.count("none")) == (0, 3)
    assert f"{jaxact.gain(jaxact.tanh, q=2.0):.7g}" in out


def test_constants_of_torch():
    names = ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu", "silu")
    assert [torch_gain(name) for name in names] == [1, 1, 1, 5 / 3, 2**0.5, (2 / 1.0001) ** 0.5, 0.75, None]
    assert torch_gain("leaky_relu", 1.0) == 1


# --- phase ------------------------------------------------------------------------------------------------


def test_phase(call, tmp_path):
    code, out, err = call("phase", "silu", "--points", "9", "--json", "--csv", "p.csv", "--out", "p.svg")
    assert (code, err) == (0, "")
    found = json.loads(out)
    edge = mean_field.edge_of_chaos(jaxact.silu, sigma_b=np.linspace(0, 1, 9))
    there = np.isfinite(edge.q)
    assert [one["sigma_w"] for one in found["edge"]] == edge.sigma_w[there].tolist()
    assert [one["stable"] for one in found["edge"]] == edge.stable[there].tolist()
    point = mean_field.critical_point(jaxact.silu)
    assert [one["sigma_b"] for one in found["critical"]] == point.sigma_b.tolist()
    assert found["no_critical_point"] is None
    diagram = found["diagram"]
    assert np.shape(diagram["chi_1"]) == np.shape(diagram["phase"]) == (9, 9)
    rows = table(tmp_path / "p.csv")
    assert len(rows) == 81
    assert float(rows[10]["sigma_b"]) == diagram["sigma_b"][1]
    assert {row["phase"] for row in rows} == {"ordered", "exploding"}
    assert (tmp_path / "p.svg").read_text().startswith("<?xml")


def test_phase_as_text(call):
    code, out, err = call("phase", "tanh", "--points", "20", "--sigma-w", "0.5", "3", "--sigma-b", "0", "0.4")
    assert (code, err) == (0, "")
    assert "critical point: sigma_w 1, sigma_b 0, q 0" in out
    assert "yes" in out
    assert "ordered" in out.splitlines()[-1]
    assert len([line for line in out.splitlines() if " yes " in line]) == 10  # of 20; at q = 0 it is not stable
    for name, words in (
        ("softplus", "no critical point: softplus has no critical point: nowhere are chi_1 = 1 and V' = 1"),
        ("leaky_relu(0.2)", "no critical point: leaky_relu(negative_slope=0.2) is scale-invariant"),
    ):
        code, out, err = call("phase", name, "--points", "3")
        assert (code, err) == (0, "")
        assert words in out


# --- mistakes ---------------------------------------------------------------------------------------------

WRONG = [  # arguments, words of the line on stderr
    (["saturate"], ["at least one activation", "jaxact saturate tanh gelu"]),
    (["saturate", ""], ["unknown activation ''"]),
    (["saturate", "rleu"], ["unknown activation 'rleu'", "did you mean relu"]),
    (["saturate", "torch:gelo"], ["did you mean torch:gelu"]),
    (["saturate", "softmax"], ["softmax is not elementwise", "jaxact.softmax"]),
    (["saturate", "glu"], ["glu is not elementwise"]),
    (["saturate", "tanh", "--threshold", "0"], ["threshold", "got 0.0"]),
    (["saturate", "tanh", "--threshold", "2"], ["threshold", "at most 1, got 2.0"]),
    (["saturate", "tanh", "--threshold", "nan"], ["threshold", "got nan"]),
    (["saturate", "tanh", "--threshold", "x"], ["--threshold", "'x'"]),
    (["saturate", "tanh", "--dtype", "int8"], ["--dtype", "int8", "float32"]),
    (["saturate", "tanh", "--dtype"], ["--dtype needs at least one"]),
    (["saturate", "tanh", "--vs", "torch"], ["--vs", "torch"]),
    (["saturate", "exp"], ["exp must have a bounded slope", "--domain LOW HIGH"]),
    (["saturate", "relu", "exp", "--vs"], ["jaxact: exp must have"]),
    (["saturate", "sine(frequency=2)"], ["sine(frequency=2.0) must have"]),
    (["saturate", "sine"], ["sine must have at most 1000", "--domain -10 10"]),
    (["saturate", "tanh", "--domain", "3", "-3"], ["--domain needs two numbers, the lower first, got 3 -3"]),
    (["saturate", "tanh", "--domain", "1"], ["--domain", "2 values"]),
    (["saturate", "tanh", "--out", "x.gif"], ["x.gif must end in .png, .svg or .pdf"]),
    (["saturate", "tanh", "--out", ""], ["--out must name a file, got ''"]),
    (["saturate", "tanh", "--out", "/dev/null/x.png"], ["--out /dev/null/x.png cannot be written"]),
    (["saturate", "tanh", "--csv", "."], ["--csv must name a file, got '.', a folder"]),
    (["saturate", "tanh", "--range", "1", "1"], ["--range", "1 1"]),
    (["saturate", "tanh", "--domain", "20", "30", "--out", "x.png"], ["--range -10 10", "--domain 20 30"]),
    (["gain"], ["at least one activation", "jaxact gain tanh gelu"]),
    (["gain", "tanh", "--q", "0"], ["--q must be a positive finite variance, got 0"]),
    (["gain", "tanh", "--q", "nan"], ["--q", "got nan"]),
    (["gain", "tanh", "--csv", "/dev/null/g.csv"], ["--csv /dev/null/g.csv cannot be written"]),
    (["gain", "exp", "--q", "1e5"], ["exp must be finite"]),
    (["gain", "softmax"], ["softmax is not elementwise"]),
    (["phase"], ["NAME", "jaxact phase --help"]),
    (["phase", "tanh", "relu"], ["relu"]),
    (["phase", "swiglu"], ["swiglu is not elementwise"]),
    (["phase", "sign"], ["sign has no edge of chaos"]),
    (["phase", "tanh", "--points", "1"], ["--points must be from 2 to 500, got 1"]),
    (["phase", "tanh", "--sigma-w", "2", "1"], ["--sigma-w", "the lower first, got 2 1"]),
    (["phase", "tanh", "--sigma-w", "1"], ["--sigma-w needs two", "got 1"]),
    (["phase", "tanh", "--sigma-b", "-1", "1"], ["--sigma-b", "got -1 1"]),
    (["phase", "tanh", "--sigma-b", "0", "inf"], ["--sigma-b", "got 0 inf"]),
    (["phase", "tanh", "--out", "p"], ["p must end in .png"]),
]


@pytest.mark.parametrize(("args", "words"), WRONG, ids=lambda value: " ".join(value)[:60])
def test_mistake_is_one_line(args, words, call, tmp_path):
    code, out, err = call(*args)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("jaxact: ")
    for word in words:
        assert word in line
    assert not list(tmp_path.iterdir())


def test_pictures_and_tables_are_refused_before_anything_is_computed(call, monkeypatch):
    monkeypatch.setattr(jaxact, "saturation_regions", None)
    monkeypatch.setattr(jaxact, "moments", None)
    monkeypatch.setattr(mean_field, "edge_of_chaos", None)
    for command in ("saturate", "gain", "phase"):
        assert call(command, "tanh", "--csv", "/dev/null/x.csv")[0] == 2
    for command in ("saturate", "phase"):
        assert call(command, "tanh", "--out", "x.jpg")[0] == 2


@pytest.mark.parametrize("arguments", [("saturate", "relu"), ("gain", "relu"), ("phase", "relu", "--points", "3")])
def test_progress_is_for_terminals(arguments, call, monkeypatch):
    assert "%|" not in call(*arguments)[2]
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    assert call(*arguments, "--json")[0] == 0
    assert "%|" in terminal.getvalue()


def test_a_table_is_whole_or_not_there(tmp_path):
    def rows():
        yield (1, None)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        output.write_csv(tmp_path / "t.csv", ("a", "b"), rows())
    assert not list(tmp_path.iterdir())
    path = output.write_csv(tmp_path / "t.csv", ("a", "b"), [(0.1, None), ("x, y", np.float32(0.1))])
    assert path.read_bytes() == b'a,b\r\n0.1,\r\n"x, y",0.1\r\n'
