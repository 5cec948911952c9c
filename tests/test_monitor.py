"""The monitor: what it sees is what `diagnose` sees, it changes nothing, and it costs what it says."""

import contextlib
import dataclasses
import itertools
import json
import os
import re
import sys
import termios

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tqdm
from flax import linen as nn
from flax import nnx
from toy import bits, timeless, toy

import jaxact
from jaxact import InputError, Monitor, plotting
from jaxact.diagnosis import Thresholds, Verdict, monitor, observer
from jaxact.diagnosis.history import NUMBERS, History
from jaxact.diagnosis.models import cross_entropy
from jaxact.diagnosis.pace import Pace
from jaxact.training import Interrupted, TrainConfig, fit, loop
from jaxact.training.run import load_run

pytestmark = pytest.mark.usefixtures("training_compiled_fast")

KEY = jax.random.key(0)
ROWS, LABELS = jax.random.normal(KEY, (16, 8)), jnp.arange(16) % 10
BATCH = ROWS, LABELS


def network(params, batch):
    hidden = jax.nn.relu(batch[0] @ params["first"]["kernel"] + params["first"]["bias"])
    return jnp.tanh(hidden @ params["second"]["kernel"]) @ params["last"]["kernel"]


def parameters(seed=0):
    keys = jax.random.split(jax.random.key(seed), 3)
    shapes = {"first": (8, 20), "second": (20, 20), "last": (20, 10)}
    params = {name: {"kernel": jax.random.normal(key, n) / 4} for (name, n), key in zip(shapes.items(), keys)}  # noqa: B905
    return params | {"first": {**params["first"], "bias": jnp.zeros((1, 20))}}


PARAMS = parameters()


def made(**options):
    return Monitor((network, PARAMS), BATCH, **({"period": 1, "alarm": None} | options))


# --- what it sees -----------------------------------------------------------------------------------------


def test_sees_what_diagnose_sees():
    now = made()
    for step, seed in enumerate((0, 1)):
        seen = now.observe(step, parameters(seed), BATCH)
        whole = jaxact.diagnose((network, parameters(seed)), BATCH)
        (one,) = seen.diagnoses
        assert seen.step == step
        for a, b in zip(one.sites, whole.sites, strict=True):
            assert (a.where, a.name, a.dead, a.dormant, a.units) == (b.where, b.name, b.dead, b.dormant, b.units)
            for name, number in NUMBERS.items():
                assert number(a) == pytest.approx(number(b), rel=1e-5, abs=1e-7), name
                assert getattr(now.history, name)[one.sites.index(a), step] == number(a)
        assert one.inputs.std == pytest.approx(whole.inputs.std, rel=1e-5)
        assert one.loss == pytest.approx(whole.loss, rel=1e-6)
        assert now.history.loss[step] == one.loss
    assert [str(site) for site in now.history.sites] == ["first relu", "second tanh"]
    assert now.history.steps.tolist() == [0, 1]
    assert now.history.units.tolist() == [20, 20]


@pytest.mark.parametrize("given", ["module", "parameters"])
@pytest.mark.parametrize("kind", ["nnx", "linen"])
def test_training_is_the_same_without_it(kind, given):
    """Bit for bit; also with buffers that the loop gives away, and with statistics of a batch norm."""
    with_monitor, seen = train(kind, given, monitored=True)
    without, _ = train(kind, given, monitored=False)
    for a, b in zip(jax.tree.leaves(with_monitor), jax.tree.leaves(without), strict=True):
        np.testing.assert_array_equal(a, b)
    assert seen.history.steps.tolist() == [0, 2, 4]
    assert np.isfinite(seen.history.gradient_z).all()
    assert (np.diff(seen.history.loss) < 0).all()


class Norm(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.first, self.norm, self.last = (
            *(nnx.Linear(8, 12, rngs=rngs), nnx.BatchNorm(12, rngs=rngs)),
            nnx.Linear(12, 10, rngs=rngs),
        )

    def __call__(self, x):
        return self.last(nnx.tanh(self.norm(self.first(x))))


class LinenNorm(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.BatchNorm(use_running_average=False, name="norm")(nn.Dense(12, name="first")(x))
        return nn.Dense(10, name="last")(nn.tanh(x))


def train(kind, given, *, monitored):
    """Five steps of a loop that gives its buffers away."""
    if kind == "nnx":
        graph, params, state = nnx.split(Norm(), nnx.Param, ...)

        def whole(params, state):
            return nnx.merge(graph, params, state)

        def forward(params, state, x):
            model = nnx.merge(graph, params, state, copy=True)
            return model(x), nnx.state(model, nnx.Not(nnx.Param))
    else:
        variables = LinenNorm().init(KEY, ROWS)
        params, state = variables["params"], {"batch_stats": variables["batch_stats"]}

        def whole(params, state):
            return (LinenNorm(), {"params": params, **state})

        def forward(params, state, x):
            return LinenNorm().apply({"params": params, **state}, x, mutable=["batch_stats"])

    optimizer = optax.adam(1e-2)
    opt_state = optimizer.init(params)

    @jax.jit
    def copy(tree):  # the loop gives away only what is its own
        return jax.tree.map(jnp.copy, tree)

    def step(params, state, opt_state, batch):
        def loss(params):
            logits, new = forward(params, state, batch[0])
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch[1]).mean(), new

        grads, state = jax.grad(loss, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), state, opt_state

    step = jax.jit(step, donate_argnums=(0, 2))
    seen = Monitor(whole(params, state), BATCH, period=2, alarm=None) if monitored else None
    params = copy(params)
    for number in range(6):
        if seen is not None:
            seen.observe(number, params if given == "parameters" else whole(params, state), BATCH)
        params, state, opt_state = step(params, state, opt_state, BATCH)
    return params, seen


def test_units_are_counted_since_they_are_dead():
    """Against the rule itself, on every unit: biases that come and go kill them at random."""
    rng = np.random.default_rng(0)
    now = made(tau=0.3)
    dead = np.repeat(rng.random((4, 20)) < 0.5, 2, axis=0)
    seen = []
    for i, mask in enumerate(dead):
        bias = jnp.where(jnp.asarray(mask), -100.0, 0.0)[None]
        params = PARAMS | {"first": {**PARAMS["first"], "bias": bias}}
        seen.append(now.observe(10 * i, params, BATCH).diagnoses[0].sites)
        for what, since in (("dead", now.dead_since), ("dormant", now.dormant_since)):
            for site, steps in enumerate(since):
                masks = [np.isin(np.arange(20), getattr(sites[site], what)) for sites in seen]
                for unit in range(20):
                    run = list(itertools.takewhile(lambda m, unit=unit: m[unit], reversed(masks)))
                    assert steps[unit] == (10 * (i + 1 - len(run)) if run else -1)
    np.testing.assert_array_equal(now.history.dead[0], dead.mean(axis=1))
    assert (now.dead_since[0] > 0).any()


def test_many_networks_are_each_seen_as_alone():
    alone = [parameters(seed) for seed in range(3)]
    alone[1]["first"]["bias"] = alone[1]["first"]["bias"].at[0, :7].set(-100.0)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *alone)
    many, one = made(networks=3), made()
    for step in range(2):
        seen = many.observe(step, stacked, BATCH)
        for i, params in enumerate(alone):
            (own,) = one.observe(3 * step + i, params, BATCH).diagnoses
            for a, b in zip(seen.diagnoses[i].sites, own.sites, strict=True):
                assert (a.dead, a.dormant, a.cut_off) == (b.dead, b.dormant, b.cut_off)
    for name, array in many.history._asdict().items():
        if name not in ("steps", "sites", "units"):
            expected = np.moveaxis(getattr(one.history, name).reshape(*array.shape[1:-1], 2, 3), -1, 0)
            np.testing.assert_allclose(array, expected, rtol=1e-5, atol=1e-7, err_msg=name)
    assert many.dead_since[0].shape == (3, 20)
    assert (many.dead_since[0] >= 0).sum(axis=1).tolist()[1] >= 7
    with pytest.raises(InputError, match=r"^the parameters must be stacked along a first axis of 3 networks"):
        many.observe(9, PARAMS, BATCH)


def test_many_modules_with_statistics_of_their_own():
    models = nnx.vmap(lambda key: Stacked(nnx.Rngs(key)))(jax.random.split(KEY, 2))
    graph, params, state = nnx.split(models, nnx.Param, ...)
    ones = [nnx.merge(graph, *jax.tree.map(lambda x, i=i: x[i], (params, state))) for i in range(2)]
    many = Monitor(ones[0], BATCH, networks=2, period=1, alarm=None)
    seen = many.observe(0, models, BATCH)
    for one, diagnosis in zip(ones, seen.diagnoses, strict=True):
        whole = jaxact.diagnose(one, BATCH)
        assert diagnosis.loss == pytest.approx(whole.loss, rel=1e-5)
        assert diagnosis.sites[0].gradient_z == pytest.approx(whole.sites[0].gradient_z, rel=1e-4)


class Stacked(nnx.Module):
    def __init__(self, rngs):
        self.first, self.norm = nnx.Linear(8, 10, rngs=rngs), nnx.BatchNorm(10, rngs=rngs)

    def __call__(self, x):
        return nnx.sigmoid(self.norm(self.first(x), use_running_average=True))


# --- which batches, and what is refused -------------------------------------------------------------------


def test_a_batch_that_is_too_small_is_passed_over_and_the_next_one_seen():
    now = made(examples=10, period=4)
    sizes = (16, 16, 16, 16, 9, 12, 16, 16, 16)
    for step, size in enumerate(sizes):
        seen = now.observe(step, PARAMS, (ROWS[:size], LABELS[:size]))
        assert seen is None or seen.diagnoses[0].examples == 10
    assert now.history.steps.tolist() == [0, 5, 8]
    assert len(np.unique(now.history.loss)) == 1  # the first ten, each time; NumPy arrays are as good
    now.observe(12, PARAMS, (np.asarray(ROWS), np.asarray(LABELS)))
    assert len(np.unique(now.history.loss)) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"period": 0}, 'period must be a whole number from 1, or "auto", got 0'),
        ({"period": "often"}, "period must be a whole number"),
        ({"period": True}, "period must be a whole number"),
        ({"budget": 0}, "budget must be a number from 1e-06 to 1, got 0"),
        ({"tau": -1}, "tau must be a number from 0, got -1"),
        ({"examples": 17}, "examples must be at most 16, those of the batch, got 17"),
        ({"examples": 0}, "examples must be a whole number from 1, got 0"),
        ({"networks": 1.5}, "networks must be a whole number from 1, got 1.5"),
    ],
)
def test_options_that_cannot_be(options, words):
    with pytest.raises(InputError) as error:
        made(**options)
    assert str(error.value).startswith(words)


def test_what_is_not_like_the_first_is_refused():
    now = made(period=1)
    for model, batch, words in (
        ({"other": ROWS}, BATCH, "model must be like the first one, or its parameters, got"),
        (PARAMS, ROWS, "batch must have the structure"),
        (PARAMS, (ROWS[:, :3], LABELS), "batch must have arrays like float32[16, 8], got float32[16, 3]"),
        (PARAMS, (ROWS, ROWS[:, 0]), "batch must have arrays like int32[16], got float32[16]"),
    ):
        with pytest.raises(InputError) as error:
            now.observe(0, model, batch)
        assert str(error.value).startswith(words)
    with pytest.raises(InputError, match=r"^resume needs a monitor with a path"):
        now.resume(0)
    assert now.rows == []


# --- how often --------------------------------------------------------------------------------------------


def course(pace, steps, *, step_seconds, cost, compiling=5.0, waits=False):
    """Steps of a loop with a clock of its own; at which it was observed, and the true share at each step."""
    now, at, spent, shares = 0.0, [], 0.0, []

    def clock():
        return now

    pace._clock = clock
    for step in range(steps):
        if pace.due(step):
            pace.begin(step)
            if not at:
                now += 30.0
                pace.compiled()
            at.append(step)
            now += cost(step)
            spent += cost(step)
            pace.end(step)
        shares.append(spent / max(now - spent - 30.0 - compiling, 1e-9))
        now += step_seconds(step) + (compiling if step == 0 else 0)
    return at, np.array(shares)


@pytest.mark.parametrize("period", [1, 3, 10])
def test_a_number_is_kept(period):
    pace = Pace(period, 0.02)
    at, _ = course(pace, 31, step_seconds=lambda _: 1.0, cost=lambda _: 100.0)
    assert at == list(range(0, 31, period))
    assert pace.overhead == pytest.approx(len(at) * 100 / 29)  # the first step compiles
    assert pace.compiling == 30
    assert pace.chosen == period
    later = Pace(period, 0.02)
    later.resume(at[1])
    assert [step for step in range(at[1] + 1, 31) if later.until(step) == 0][0] == at[2]  # noqa: RUF015


@pytest.mark.parametrize("budget", [0.005, 0.02, 0.2])
@pytest.mark.parametrize("cost", [0.01, 0.3, 4.0])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_the_budget_is_kept_and_used(budget, cost, noise):
    rng = np.random.default_rng(0)
    factors = np.exp(noise * rng.standard_normal(40_000))
    pace = Pace(None, budget)
    at, shares = course(
        pace, 40_000, step_seconds=lambda i: 0.1 * factors[i], cost=lambda i: cost * factors[i // 3 + 5]
    )
    after = shares[at[1] :] if len(at) > 1 else shares[:0]
    assert (after <= budget * (1 + 2 * noise)).all()  # a noisy cost is not known before it is paid
    assert shares[-1] >= 0.6 * min(budget, cost / 0.1)  # at every step it can cost no more
    assert pace.overhead == pytest.approx(shares[-1], rel=0.05)
    assert min(np.diff(at)) >= 0.5 * cost / budget / 0.1 * np.exp(-2 * noise)


def test_the_period_follows_the_loop():
    """A loop that becomes ten times slower is observed ten times as often, by steps."""
    pace = Pace(None, 0.02)
    at, _ = course(pace, 20_000, step_seconds=lambda i: 0.1 if i < 10_000 else 1.0, cost=lambda _: 1.0)
    gaps = np.diff(at)
    assert gaps[np.array(at[1:]) < 10_000].min() == 500
    assert gaps[-5:].tolist() == [50] * 5


def test_a_pause_of_the_loop_brings_no_burst():
    pace = Pace(None, 0.02)
    at, _ = course(pace, 5000, step_seconds=lambda i: 500.0 if i == 700 else 0.1, cost=lambda _: 0.1)
    assert min(np.diff(at)) >= 50


def test_auto_on_a_real_loop():
    """It chooses a period after a few steps, and says what it cost."""
    now = made(period="auto", budget=0.5)
    for step in range(3):
        now.observe(step, PARAMS, BATCH)
        assert now.period is None
    while now.period is None or len(now.rows) < 3:
        step += 1
        np.linalg.inv(np.eye(300) + step)  # the loop's work
        now.observe(step, PARAMS, BATCH)
    assert now.history.steps[0] == 0
    assert now.history.steps[1] > 3
    assert 0 < now.overhead < 2
    assert now.compile_seconds > 0


# --- alarms and the file ----------------------------------------------------------------------------------


def verdicts(monkeypatch, table):
    """Verdicts by observation, in place of those of the diagnosis; the first is of the run that compiles."""
    true, turns, given = observer.summarize, iter([table[0], *table]), []

    def summarize(*args, **options):
        given.append(options)
        found = [Verdict(kind, 0, where, 0.5, {}, f"{kind} it is.", "Mend it.") for kind, where in next(turns)]
        return dataclasses.replace(true(*args, **options), verdicts=tuple(found))

    monkeypatch.setattr(observer, "summarize", summarize)
    return given


def test_an_alarm_when_a_verdict_appears(monkeypatch, tmp_path, capsys):
    dead, gone, fine = ("dead", "first"), ("vanishing", "second"), ("healthy", "network")
    table = [[fine], [dead], [dead, gone], [fine], [gone]]
    given = verdicts(monkeypatch, table)
    told, strict = [], Thresholds(dead=0.25)
    now = made(alarm=told.append, path=tmp_path / "seen.jsonl", thresholds=strict)
    seen = [now.observe(step, PARAMS, BATCH) for step in range(4)]
    assert told == [
        "step 1: dead at first: dead it is. Mend it.",
        "step 2: vanishing at second: vanishing it is. Mend it.",
    ]
    assert [len(one.alarms) for one in seen] == [0, 1, 1, 0]
    assert all(options == {"tau": 0.025, "thresholds": strict} for options in given)
    now.save()
    later = made(alarm=told.append, path=tmp_path / "seen.jsonl")  # what was told in an earlier process stays told
    later.resume(4)
    monkeypatch.undo()
    verdicts(monkeypatch, [[gone]])
    assert later.observe(4, PARAMS, BATCH).alarms == ()
    assert len(told) == 2
    monitor.tell("this")
    assert capsys.readouterr() == ("", "jaxact: this\n")


def test_alarms_leave_a_live_bar_whole(monkeypatch):
    """On a terminal: what is there in the end is the alarm on a line of its own, and the bar on the last one."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(ours, (24, 80))
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with tqdm.tqdm(total=4, desc="epoch 1", file=terminal, ncols=60, mininterval=0) as bar:
            for step in range(4):
                bar.update()
                if step == 2:
                    monitor.tell("step 2: dead at first: dead it is.")
    text = ""
    with contextlib.suppress(OSError):  # as the end of a terminal is told
        while part := os.read(ours, 1 << 16).decode():
            text += part
    os.close(ours)
    lines, column = [""], 0
    for part in re.split(r"(\r|\n)", text):
        if part == "\n":
            lines.append("")
            column = 0
        elif part == "\r":
            column = 0
        else:
            lines[-1] = lines[-1][:column].ljust(column) + part + lines[-1][column + len(part) :]
            column += len(part)
    told, last = [line.rstrip() for line in lines if line.strip()]
    assert told == "jaxact: step 2: dead at first: dead it is."
    assert last.startswith("epoch 1: 100%")
    assert last.count("epoch 1") == 1


def test_the_file_is_the_history(tmp_path):
    """Whole, readable as strict JSON, also where numbers are none; and a monitor goes on with it."""
    path = tmp_path / "seen.jsonl"
    broken = jax.tree.map(lambda x: x * jnp.inf, PARAMS)
    now = made(path=path, period=2)
    for step in range(7):
        now.observe(step, broken if step == 4 else PARAMS, BATCH)
    now.save()
    rows = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]
    assert rows == now.rows
    assert [row["step"] for row in rows] == [0, 2, 4, 6]
    assert np.isfinite(now.history.loss).tolist() == [True, True, False, True]
    for stop in (0, 3, 7):
        later = made(path=path, period=2)
        later.resume(stop)
        assert later.rows == rows[: (stop + 1) // 2]
        for step in range(stop, 7):
            later.observe(step, broken if step == 4 else PARAMS, BATCH)
        later.save()
        assert later.rows == rows
        for a, b in zip(later.dead_since + later.dormant_since, now.dead_since + now.dormant_since, strict=True):
            np.testing.assert_array_equal(a, b)
    path.write_text('{"epoch": 1}\n')
    with pytest.raises(InputError, match="no history of a monitor; move it away"):
        made(path=path).resume(1)


def test_figure():
    """Colours are the numbers, rows the sites from the top, and one observation is enough."""
    for times in (1, 2, 5):
        steps = np.cumsum(np.arange(1, times + 1))
        shares = np.linspace(0, 1, 3 * times).reshape(3, times)
        gradient = np.where(shares > 0, shares, np.nan)
        unknown = dict.fromkeys(History._fields, np.full((3, times), np.nan))
        seen = {"steps": steps, "sites": ("a relu", "b $x", "c ?"), "units": np.full(3, 4)}
        numbers = {"saturated": shares, "dead": shares[::-1], "gradient_z": gradient}
        history = History(**unknown | seen | numbers)
        figure = plotting.monitor_figure(history, title="_$")
        for narrow in plotting.monitor_figures(history).values():
            narrow.draw_without_rendering()
        panes = [axes for axes in figure.axes if axes.get_title()]
        assert [pane.get_title().split()[0] for pane in panes] == ["inputs", "units", "log10"]
        assert [label.get_text() for label in panes[0].get_yticklabels()] == ["a relu", "b $x", "c ?"]
        assert panes[0].yaxis_inverted()
        drawn = [pane.collections[0].get_array() for pane in panes]
        np.testing.assert_allclose(drawn[0], 100 * shares)
        np.testing.assert_allclose(drawn[1], 100 * shares[::-1])
        assert drawn[2].mask.sum() == 1
        assert (panes[0].get_xticks() % 1 == 0).all()  # there is no half of a step
        ends = panes[0].collections[0].get_coordinates()[0, :, 0]
        assert all((ends[:-1] <= steps) & (steps <= ends[1:]))
        figure.draw_without_rendering()


# --- of a run ---------------------------------------------------------------------------------------------

TOY = TrainConfig(epochs=2, batch_size=32, pixels="unit", augment=True, activation="relu")  # seven steps an epoch


@pytest.fixture(scope="module")
def data():
    return toy()


@pytest.fixture(scope="module")
def straight(data, tmp_path_factory):
    """The run that is diagnosed every third step, and that nothing interrupts."""
    folder = tmp_path_factory.mktemp("run") / "straight"
    return fit(dataclasses.replace(TOY, diagnose=3, out=folder), dataset=data)


def test_a_run_is_the_same_with_it(straight, data):
    plain = fit(TOY, dataset=data)
    assert plain.monitor is None
    assert bits(plain.model) == bits(straight.model)
    assert timeless(plain.history) == timeless(straight.history)


def test_a_run_keeps_its_diagnosis(straight):
    seen = straight.monitor.history
    assert seen.steps.tolist() == [0, 3, 6, 9, 12]
    assert [str(site) for site in seen.sites] == ["conv1 relu", "conv2 relu", "conv3 relu", "dense1 relu"]
    assert seen.loss[-1] < seen.loss[0]
    rows = [json.loads(line) for line in (straight.folder / "diagnosis.jsonl").read_text().splitlines()]
    assert rows == straight.monitor.rows
    assert (straight.folder / "diagnosis.png").stat().st_size > 10_000


def test_a_run_is_diagnosed_on_the_images_of_its_next_step(straight, data):
    order = np.asarray(jax.random.permutation(jax.random.fold_in(jax.random.split(jax.random.key(0))[0], 0), 200))
    model = jaxact.LeNet5("relu", formulation="plain", rngs=nnx.Rngs(jax.random.key(0)))
    logits = model(jnp.asarray(data.train_images[order[:32]], jnp.float32) / 255)
    loss = cross_entropy(logits, (None, jnp.asarray(data.train_labels[order[:32]])))
    assert straight.monitor.history.loss[0] == pytest.approx(float(loss), rel=1e-4)


@pytest.mark.parametrize("at", [3, 8])
def test_a_resumed_run_goes_on_with_its_diagnosis(at, straight, data, tmp_path, monkeypatch):
    class Bar(loop.tqdm):
        def update(self, n=1):
            done.append(n)
            if sum(done) == at:
                raise Interrupted
            return super().update(n)

    done = []
    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(loop, "SECONDS_BETWEEN_UPDATES", 0)
        patched.setattr(loop, "tqdm", Bar)
        with pytest.raises(Interrupted):
            fit(dataclasses.replace(TOY, diagnose=3, out=folder), dataset=data)
    left = (folder / "diagnosis.jsonl").read_text()
    assert straight.folder.joinpath("diagnosis.jsonl").read_text().startswith(left)
    assert left
    result = fit(resume=folder, dataset=data)
    assert (folder / "diagnosis.jsonl").read_bytes() == (straight.folder / "diagnosis.jsonl").read_bytes()
    assert bits(result.model) == bits(straight.model)
    assert result.monitor.rows == straight.monitor.rows


def test_thresholds_are_options_of_a_run(straight, data, tmp_path):
    told = []
    mild = dataclasses.replace(TOY, diagnose=3, out=tmp_path / "run")
    strict = dataclasses.replace(mild, threshold=["vanishing=1", "exploding=1.000001"])
    fit(strict, dataset=data, alarm=told.append)
    verdicts = {v["kind"] for row in straight.monitor.rows for v in row["verdicts"]}
    assert not verdicts & {"vanishing", "exploding"}
    assert any("vanishing" in line or "exploding" in line for line in told)
    assert load_run(tmp_path / "run").config.threshold == strict.threshold
    fit(dataclasses.replace(mild, epochs=3), resume=tmp_path / "run", dataset=data)
    assert load_run(tmp_path / "run").config.threshold == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": ["dead=2"]}, "threshold dead must be a share"),
        ({"threshold": ["deed=0.1"]}, "threshold must be NAME=VALUE with a name of dead, firing"),
        ({"threshold": "dead=0.1"}, "threshold must be a list of NAME=VALUE, got 'dead=0.1'"),
        ({"threshold": 0.1}, "threshold must be a list of NAME=VALUE, got 0.1"),
        ({"threshold": ["dead=0.1"], "diagnose": None}, 'give diagnose too, as "auto"'),
    ],
)
def test_thresholds_of_a_run_that_cannot_be(options, words):
    with pytest.raises(InputError) as error:
        TrainConfig(**{"diagnose": 3} | options)
    assert words in str(error.value)


@pytest.mark.parametrize("value", [0, "often", 1.5, True])
def test_periods_that_cannot_be(value):
    with pytest.raises(InputError, match=r'^diagnose must be a whole number from 1 to 1e\+09, or "auto", got'):
        TrainConfig(diagnose=value)
