"""The atlas: known numbers, pages that stand alone, and reasons where something does not exist."""

import csv
import json
import re
from html.parser import HTMLParser

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxact
from jaxact import atlas
from jaxact.cli import main


@pytest.fixture
def call(call):
    """Runs the command `atlas`."""
    return lambda *args: call("atlas", *args)


class Reader(HTMLParser):
    """Elements that are opened and closed, what is loaded, and the text of each table's cells."""

    void = ("meta", "img", "link", "br", "wbr", "input")

    def __init__(self, text):
        super().__init__()
        self.open, self.loads, self.ids, self.links, self.cells, self.images = [], [], [], [], [], 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in self.void:
            self.open.append(tag)
        self.loads += [attrs[key] for key in ("src", "srcset", "data", "poster") if key in attrs]
        self.loads += [tag] if tag in ("link", "script", "iframe", "object") else []
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if "href" in attrs else []
        self.images += tag == "img" and bool(attrs["alt"])
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and ("td" in self.open or "th" in self.open):
            self.cells[-1] += data


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An atlas of two functions, one with parameters, and what was printed about it."""
    folder = tmp_path_factory.mktemp("atlas")
    names = ["tanh", "leaky_relu(0.2)", "Tanh"]  # two spellings of one
    assert main(["atlas", *names, "--out", str(folder / "new" / "maps"), "--csv", str(folder / "a.csv")]) == 0
    return folder


# --- one function -----------------------------------------------------------------------------------------------


def test_tanh():
    found = atlas.portrait(jnp.tanh, dtypes=["float32", "bfloat16"])
    np.testing.assert_allclose(found.edges, [-np.arccosh(10), np.arccosh(10)], rtol=1e-13)
    assert round(found.edges[1], 3) == 2.993
    z = np.linspace(-12, 12, 4801)  # where the trapezoidal rule is exact for such functions
    weights = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    assert found.gains["forward"] == pytest.approx((weights @ np.tanh(z) ** 2) ** -0.5, rel=1e-10)
    assert found.gains["backward"] == pytest.approx((weights @ np.cosh(z) ** -4.0) ** -0.5, rel=1e-10)
    assert found.growth == pytest.approx((found.gains["forward"] / found.gains["backward"]) ** 2, rel=1e-12)
    assert found.share == pytest.approx(2 * 0.0013802405, rel=1e-6)
    assert (found.critical.sigma_w, found.critical.sigma_b) == ([1.0], [0.0])
    assert list(found.regions) == ["float32", "bfloat16"]
    assert (found.why, found.domain) == ({}, (-np.inf, np.inf))
    assert found.regions["bfloat16"].causes == ("rounding", "rounding")


@pytest.mark.parametrize(
    ("name", "domain", "edges"),
    [
        ("sine", (-12, 12), []),
        ("exp", (-120, 120), []),
        ("relu", (-np.inf, np.inf), [0]),
        ("threshold", (-np.inf, np.inf), [1]),
    ],
)
def test_what_is_looked_at(name, domain, edges):
    found = atlas.portrait(getattr(jaxact, name), dtypes=["float32"])
    assert found.domain == domain
    assert found.edges == edges
    assert ("domain" in found.why) == np.isfinite(domain[0])
    if name == "exp":  # nothing is small beside a slope without bound, but it does underflow
        assert np.isinf(found.exact.max_slope)
        assert found.share is None
        (low, high), *rest = found.regions["float32"].dead.tolist()
        assert (low, round(high, 2), rest) == (-120, -87.34, [])
        assert found.gains["forward"] == pytest.approx(np.exp(-1), rel=1e-10)
    if name == "sine":
        np.testing.assert_allclose(found.exact.roots[4:6], [np.pi / 2, 3 * np.pi / 2], rtol=1e-13)


def test_what_does_not_exist_has_a_reason():
    flat = atlas.portrait(jnp.sign, dtypes=[])
    assert flat.exact.max_slope == 0
    assert set(flat.gains) == {"forward", "std"}
    assert set(flat.why) == {"backward", "critical"}
    nowhere = atlas.portrait(lambda x: jnp.log(x), dtypes=["float32"])
    assert (nowhere.exact, nowhere.regions, nowhere.gains, nowhere.critical) == (None, {}, {}, None)
    assert set(nowhere.why) == {"domain", "regions", "forward", "critical"}
    assert all("domain=" not in why for why in nowhere.why.values())


def test_dead_regions_of_another_implementation():
    ours = atlas.portrait(jaxact.tanh, dtypes=["float32", "float16"])
    theirs = atlas.dead_regions(jax.nn.tanh, ours)
    assert ours.regions["float32"].dead[1, 0] == pytest.approx(44.36, abs=0.01)
    assert theirs["float32"].dead[1, 0] == pytest.approx(7.999, abs=0.001)
    assert atlas.dead_regions(lambda x: jnp.where(x > 0, x, jnp.nan), ours) == {}


@pytest.mark.parametrize("name", ["relu", "sine", "exp", "log1mexp", "step", "gelu"])
def test_facts_in_words_and_as_data(name):
    row = jaxact.ACTIVATIONS[name]
    found = atlas.portrait(row.function, dtypes=["float32"], domain=row.domain)
    entry = atlas.Entry(name, row, row.parameters, found, None)
    told, facts = atlas.told(entry), atlas.facts_of(entry)
    assert told["formula"] == facts["formula"] == row.formula
    assert all(isinstance(text, str) and text for text in told.values())
    assert len(atlas.cells(facts, ["float32"])) == len(atlas.columns(["float32"]))
    assert set(atlas.summary(entry, ["float32"]))
    assert json.loads(json.dumps(facts))["name"] == name
    if name == "gelu":
        assert [round(p["sigma_w"], 4) for p in facts["critical"]] == [2.0, 1.4082]
        # 0.13 % of a Gaussian is in the tail alone: the share is of all that is listed.
        assert told["saturated at 1 %"] == "x < -3.00936; about f' = 0: -0.779344 to -0.726821"
        assert told["of N(0, 1) saturated"] == "1.71 % in all"
    if name == "relu":
        assert (told["saturated at 1 %"], told["steepest"]) == ("x < 0", "|f'| = 1 at 0")
        assert "scale-invariant" in told["critical point"]


# --- the file ---------------------------------------------------------------------------------------------------


def test_html_stands_alone(made):
    text = (made / "new" / "maps" / "index.html").read_text(encoding="utf-8")
    page = Reader(text)
    assert page.open == []
    assert page.loads
    assert all(load.startswith("data:image/png;base64,") for load in page.loads)
    assert page.images == 3
    assert not re.search(r"url\(|@import", text)
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert {"tanh", "leaky_relu-negative_slope-0.2"} <= set(page.ids)
    cells = dict(zip(page.cells, page.cells[1:], strict=False))
    assert cells["saturated at 1 %"] == "nowhere"  # of the last one
    assert "|x| > 2.99322" in page.cells
    assert "|x| > 7.99881 (rounding)" in page.cells


def test_files(made):
    folder = made / "new" / "maps"
    names = ["index.html", "leaky_relu-negative_slope-0.2.png", "sheet.png", "tanh.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            assert min(image.size) > 150
            assert len(image.convert("RGB").getcolors(1 << 20)) > 5
    with (made / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["tanh", "leaky_relu(negative_slope=0.2)"]
    assert float(rows[0]["gain_forward"]) == pytest.approx(1.5925374197)
    assert rows[0]["dead jax.nn float32"].startswith("-inf:-7.9988")
    assert (rows[1]["edges"], rows[1]["critical_sigma_w"]) == ("", "")


def test_svg_json_and_again(call, tmp_path):
    (tmp_path / "atlas").mkdir()
    (tmp_path / "atlas" / "mine.txt").write_text("kept")
    (tmp_path / "atlas" / "relu.svg").write_text("old")
    code, out, err = call("relu", "--format", "svg", "--dtype", "float32", "float32", "--json")
    assert (code, err) == (0, "")
    (facts,) = map(json.loads, out.splitlines())
    assert facts["dead"]["float32"] == [{"low": "-inf", "high": 0.0, "cause": "mathematics", "lost": 0.0}]
    assert facts["jax.nn"]["dead"] == facts["dead"]
    assert sorted(p.name for p in (tmp_path / "atlas").iterdir()) == [
        "index.html",
        "mine.txt",
        "relu.svg",
        "sheet.svg",
    ]
    assert (tmp_path / "atlas" / "relu.svg").read_text(encoding="utf-8").startswith("<?xml")
    page = Reader((tmp_path / "atlas" / "index.html").read_text(encoding="utf-8"))
    assert all(load.startswith("data:image/svg+xml;base64,") for load in page.loads)


WRONG = [  # arguments, words of the line on stderr
    (["rleu"], ["unknown activation 'rleu'", "did you mean relu"]),
    (["leaky_relu(nonsense=1)"], ["nonsense"]),
    (["softmax"], ["softmax is not elementwise"]),
    (["relu", "--format", "gif"], ["--format", "gif"]),
    (["relu", "--dtype", "int8"], ["--dtype", "int8"]),
    (["relu", "--out", ""], ["--out must name a folder"]),
    (["relu", "--out", "/dev/null"], ["--out must name a folder, got '/dev/null'"]),
    (["relu", "--out", "/dev/null/atlas"], ["/dev/null/atlas", "Not a directory"]),
    (["relu", "--csv", "."], ["--csv must name a file"]),
]


@pytest.mark.parametrize(("args", "words"), WRONG, ids=lambda value: " ".join(value))
def test_bad_input(args, words, call, tmp_path):
    code, out, err = call(*args)
    assert (code, out) == (2, "")
    assert err.startswith("jaxact: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


def test_names_in_html_are_escaped():
    pages = [atlas.Page("<b>&", b"", {"a<": "<script> arXiv:1606.08415"}, {"x<": "<y>"})]
    text = atlas.document(pages, b"", kind="png", about="a < b")
    page = Reader(text)
    assert page.open == []
    assert "<script>" not in text
    assert "https://arxiv.org/abs/1606.08415" in page.links
    assert "<script> arXiv:1606.08415" in page.cells
