"""Laws of the training step, the options and the run folder."""

import dataclasses
import functools
import io
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from toy import bits, metrics, timeless, toy

import jaxact
from jaxact import InputError, LeNet5
from jaxact.training import OPTIMIZERS, DivergedError, TrainConfig, evaluate, fit, load_trained, step
from jaxact.training.config import make_optimizer, make_schedule
from jaxact.training.programs import Data, run_programs
from jaxact.training.programs import _programs as kept
from jaxact.training.run import claim_folder, pixel_scaling
from jaxact.training.step import Pixels, in_parts, initial_state, make_programs, shift_and_mirror

pytestmark = pytest.mark.usefixtures("training_compiled_fast")

TOY = TrainConfig(epochs=2, batch_size=32, pixels="unit")
SCHEDULES = ("constant", "cosine", "warmup_cosine", "linear", "exponential")


def cube(x):
    return 0.1 * x**3


@pytest.fixture(scope="module")
def data():
    return toy()


def programs_of(config, data, params, graphdef):
    images, steps = len(data.train_labels), -(-len(data.train_labels) // config.batch_size)
    optimizer = make_optimizer(config, config.epochs * steps)
    pixels = Pixels(*map(jnp.asarray, pixel_scaling(config, data)))
    programs = make_programs(graphdef, optimizer, pixels, images=images, batch_size=config.batch_size)
    return programs, initial_state(params, optimizer, jax.random.key(config.seed))


@pytest.fixture
def _nothing_kept():
    """For tests that change what programs are made of."""
    kept.cache_clear()
    yield
    kept.cache_clear()


# --- the step ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("images", "batch"), [(200, 32), (64, 32), (7, 7), (5, 1), (9, 4)])
def test_every_image_is_in_one_batch_of_an_epoch(images, batch):
    steps = -(-images // batch)
    graphdef, params = nnx.split(nnx.Linear(1, 1, rngs=nnx.Rngs(0)))
    optimizer = optax.sgd(0.1)
    pixels = Pixels(jnp.zeros(3), jnp.ones(3))
    programs = make_programs(graphdef, optimizer, pixels, images=images, batch_size=batch)
    orders = []
    for epoch in range(3):
        state = initial_state(params, optimizer, jax.random.key(0))._replace(step=jnp.int32(epoch * steps))
        order = np.asarray(programs.order(state))
        assert len(order) == steps * batch  # what is beyond the images has weight 0
        assert sorted(order[:images]) == list(range(images))
        orders.append(tuple(order))
    assert len(set(orders)) == (3 if images > 5 else len(set(orders)))


@pytest.mark.parametrize("at_a_time", [128, 12])  # 12 of 32 do not come out even
@pytest.mark.usefixtures("_nothing_kept")
def test_two_epochs_are_those_of_a_plain_loop(data, monkeypatch, at_a_time):
    """Also of the metrics: means over images, while the parameters change, the smaller last batch included."""
    monkeypatch.setattr(step, "AT_ONCE", at_a_time)
    config = dataclasses.replace(TOY, activation="tanh", formulation="spectral")
    result = fit(config, dataset=data)
    graphdef, params = nnx.split(LeNet5("tanh", formulation="plain", rngs=nnx.Rngs(0)), nnx.Param)
    programs, state = programs_of(config, data, params, graphdef)
    optimizer = optax.adam(1e-3, b1=0.9, b2=0.999, eps=1e-7)  # Keras' epsilon

    def loss_of(params, images, labels):
        logits = nnx.merge(graphdef, params)(images / 255)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), (losses, logits.argmax(-1) == labels)

    @jax.jit
    def train(params, opt_state, images, labels):
        grads, (losses, right) = jax.grad(loss_of, has_aux=True)(params, images, labels)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, losses, right

    opt_state = optimizer.init(params)
    for epoch, row in enumerate(result.history):
        order = np.asarray(programs.order(state._replace(step=jnp.int32(7 * epoch))))[:200]
        losses, right = [], []
        for start in range(0, 200, 32):
            index = order[start : start + 32]
            images, labels = np.float32(data.train_images[index]), data.train_labels[index]
            params, opt_state, *seen = train(params, opt_state, images, labels)
            losses.extend(seen[0])
            right.extend(seen[1])
        assert len(losses) == 200
        _, (val_losses, val_right) = loss_of(params, np.float32(data.test_images), data.test_labels)
        expected = [np.mean(part) for part in (losses, right, val_losses, val_right)]
        actual = [row[key] for key in ("loss", "accuracy", "val_loss", "val_accuracy")]
        np.testing.assert_allclose(actual, expected, rtol=1e-4)
    first = jax.tree.leaves(state.params)
    for a, b, c in zip(jax.tree.leaves(nnx.state(result.model)), jax.tree.leaves(params), first, strict=True):
        assert np.linalg.norm(a - b) < 1e-3 * np.linalg.norm(
            c - b
        )  # Adam makes much of the last bit of a gradient


def test_memory_of_a_step_is_that_of_a_part(data):
    """Four parts need hardly more than one; taken at once, 512 images would need four times as much."""

    def temporaries(batch):
        graphdef, params = nnx.split(LeNet5("relu", formulation="spectral", rngs=nnx.Rngs(0)), nnx.Param)
        optimizer = optax.sgd(1e-3)
        pixels = Pixels(jnp.zeros(3), jnp.ones(3))
        programs = make_programs(graphdef, optimizer, pixels, images=512, batch_size=batch)
        state = initial_state(params, optimizer, jax.random.key(0))
        images, labels = jnp.zeros((512, 32, 32, 3), jnp.uint8), jnp.zeros(512, jnp.int32)
        lowered = programs.advance.lower(state, images, labels, programs.order(state), 1)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    assert temporaries(512) < 1.5 * temporaries(128)


@pytest.mark.parametrize("n", [0, 1, 127, 128, 129, 1001])
def test_evaluation_covers_every_image(n):
    x = jnp.arange(n)
    seen = in_parts(lambda a, b: (a * 2, a + b), x, x)
    np.testing.assert_array_equal(seen[0], 2 * np.arange(n))
    np.testing.assert_array_equal(seen[1], 2 * np.arange(n))


def test_shifts_and_mirrors():
    images = np.random.default_rng(0).integers(1, 256, (200, 8, 8, 3)).astype(np.uint8)
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
    views = {(i, j): padded[:, i : i + 8, j : j + 8] for i in range(9) for j in range(9)}
    for mirror in (False, True):
        result = np.asarray(shift_and_mirror(jax.random.key(0), jnp.asarray(images), jnp.arange(200), mirror))
        assert result.dtype == np.uint8
        same = {at: (view == result).all((1, 2, 3)) for at, view in views.items()}
        mirrored = {at: (view[:, :, ::-1] == result).all((1, 2, 3)) for at, view in views.items()}
        assert (sum(same.values()) + sum(mirrored.values()) == 1).all()  # one shift of at most 4, mirrored or not
        share = sum(mirrored.values()).mean()
        assert 0.35 < share < 0.65 if mirror else share == 0
        used = [at for at in views if (same[at] | mirrored[at]).any()]
        assert {i for i, _ in used} == {j for _, j in used} == set(range(9))


class StopError(Exception):
    pass


CHANGES = {  # whether the programs of TOY, of tanh, serve a run with other options
    "seed": ({"seed": 1}, True),
    "epochs": ({"epochs": 5}, True),
    "folder": ({"out": "elsewhere", "data_dir": "anywhere"}, True),
    "diagnosis": ({"diagnose": "auto", "threshold": ("dead=0.1",)}, True),
    "epochs of a schedule": ({"epochs": 5, "schedule": "cosine"}, False),
    "learning rate": ({"learning_rate": 1e-2}, False),
    "batch": ({"batch_size": 16}, False),
    "activation": ({"activation": "relu"}, False),
    "optimizer": ({"optimizer": "sgd"}, False),
    "augmentation": ({"augment": True}, False),
    "formulation": ({"formulation": "plain"}, False),
}


@pytest.mark.parametrize(("change", "same"), CHANGES.values(), ids=CHANGES)
def test_programs_are_shared_by_runs_that_compile_the_same(change, same):
    config, about = dataclasses.replace(TOY, activation="tanh"), Data("toy", 10, 200, 50, (0,), (1,))
    first = run_programs(config, about, None)
    assert (run_programs(dataclasses.replace(config, **change), about, None) is first) == same
    for other in (about._replace(images=100), about._replace(classes=5), about._replace(scale=(2,))):
        assert run_programs(config, other, None) is not first


@pytest.mark.parametrize(
    ("activation", "same"),
    [(jaxact.tanh, True), ("elu(0.5)", True), (jaxact.get("elu(0.5)"), True), (cube, False)],
    ids=["of jaxact", "name", "with parameters", "own"],
)
def test_programs_of_functions_of_jaxact_alone_are_kept(activation, same):
    config, about = dataclasses.replace(TOY, activation=activation), Data("toy", 10, 200, 50, (0,), (1,))
    assert (run_programs(config, about, None) is run_programs(config, about, None)) == same


def test_a_run_on_kept_programs_is_the_same(data):
    config = dataclasses.replace(TOY, activation="tanh", epochs=1, seed=1)
    fresh = fit(config, dataset=data)
    kept.cache_clear()
    fit(dataclasses.replace(config, seed=0, epochs=2), dataset=data)
    again = fit(config, dataset=data)
    assert kept.cache_info().hits == 1
    assert bits(again.model) == bits(fresh.model)
    assert timeless(again.history) == timeless(fresh.history)


def test_functions_of_the_user_are_read_anew(data):
    factor = 1.0

    def bent(x):
        return jnp.where(x > 0, x, factor * x)

    config, models = dataclasses.replace(TOY, activation=bent, epochs=1), []
    for factor in (0.1, 0.5, 0.5):  # noqa: B007 - bent reads it
        models.append(bits(fit(config, dataset=data).model))
    assert models[0] != models[1] == models[2]


@pytest.mark.parametrize(("name", "mirror"), [("toy", True), ("digits", False), ("svhn_cropped", False)])
@pytest.mark.usefixtures("_nothing_kept")
def test_digits_are_never_mirrored(name, mirror, monkeypatch):
    def make_programs(*args, augment, **kwargs):
        seen.append(augment)
        raise StopError

    seen = []
    monkeypatch.setattr("jaxact.training.programs.make_programs", make_programs)
    for augment in (True, False):
        with pytest.raises(StopError):
            fit(TrainConfig(augment=augment), dataset=toy(10, 5, name=name))
    assert isinstance(seen[0], functools.partial)
    assert seen[0].keywords == {"mirror": mirror}
    assert seen[1] is None


# --- options ----------------------------------------------------------------------------------------------


VARIANTS = {
    "raw": {"pixels": "raw", "learning_rate": 1e-5},
    "standardized, augmented": {"pixels": "standardized", "augment": True},
    "bfloat16, decayed": {"dtype": "bfloat16", "weight_decay": 0.1, "optimizer": "adamw", "schedule": "cosine"},
    "callable": {"activation": cube, "pixels": "standardized", "batch_size": 10**6},
}


@pytest.mark.parametrize("what", VARIANTS)
def test_variant(what, data, tmp_path):
    """What is reported is what the model says of inputs scaled by hand, and what is loaded is what was trained."""
    config = TrainConfig(
        **{"pixels": "unit", "epochs": 1, "batch_size": 64, "out": tmp_path / "run"} | VARIANTS[what]
    )
    result = fit(config, dataset=data)
    shift = data.train_images.mean((0, 1, 2)) if config.pixels == "standardized" else 0
    divisor = {"raw": 1, "unit": 255, "standardized": data.train_images.std((0, 1, 2))}[config.pixels]
    logits = result.model(jnp.asarray((data.test_images - shift) / divisor, jnp.float32))
    assert logits.dtype == config.dtype
    logits = logits.astype(jnp.float32)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, data.test_labels)
    assert result.history[0]["val_loss"] == pytest.approx(
        float(losses.mean()), rel=2e-2 if what[0] == "b" else 1e-4
    )
    leaves = jax.tree.leaves(nnx.state(result.model, nnx.Param))
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("float32")}
    trained = load_trained(tmp_path / "run", activation=config.activation)
    assert bits(trained.model) == bits(result.model)
    assert trained.epoch == 1
    found = evaluate(trained, dataset=data)
    assert found.loss == pytest.approx(result.history[0]["val_loss"], rel=1e-5)
    assert found.accuracy == result.history[0]["val_accuracy"]
    assert found.confusion.sum() == 51
    if callable(config.activation):
        with pytest.raises(InputError, match=r"trained with test_training:cube, not of jaxact"):
            load_trained(tmp_path / "run")
        with pytest.raises(InputError, match=r"cube"):
            fit(resume=tmp_path / "run", dataset=data)
        longer = fit(dataclasses.replace(config, epochs=2), resume=tmp_path / "run", dataset=data)
        straight = fit(dataclasses.replace(config, epochs=2, out=None), dataset=data)
        assert bits(longer.model) == bits(straight.model)


def test_seed_decides_everything(data):
    first, again, other = (fit(dataclasses.replace(TOY, seed=seed), dataset=data) for seed in (0, 0, 1))
    assert bits(first.model) == bits(again.model) != bits(other.model)
    assert timeless(first.history) == timeless(again.history) != timeless(other.history)


def test_it_learns(data):
    history = fit(dataclasses.replace(TOY, epochs=8), dataset=data).history
    assert history[-1]["val_accuracy"] > 0.9
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]


def updates_of(config, steps, gradient=0.5, parameter=2.0):
    """The updates of the first ``steps`` of a hundred steps under a constant gradient."""
    params, grads = {"w": jnp.full((3, 4), parameter)}, {"w": jnp.full((3, 4), gradient)}
    optimizer = make_optimizer(config, 100)
    state = optimizer.init(params)
    for _ in range(steps):
        updates, state = optimizer.update(grads, state, params)
        yield np.asarray(updates["w"])[0, 0]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_steps_downhill(optimizer):
    first, second = updates_of(TrainConfig(optimizer=optimizer, learning_rate=0.01), 2)
    assert np.isfinite([first, second]).all()
    assert first <= 0
    assert second < 0
    *_, decayed = updates_of(TrainConfig(optimizer=optimizer, learning_rate=0.01, weight_decay=0.3), 2)
    assert np.isfinite(decayed)
    penalty = updates_of(TrainConfig(optimizer=optimizer, weight_decay=0.3), 1, gradient=0.0)
    assert next(penalty) < 0 or optimizer == "lars"  # lars scales by the gradient, which is zero here


def test_updates_of_optimizers():
    for expected, options in (
        (-1e-3, {}),
        (-1e-3 * 1e-8 / (1e-8 + 1e-7), {"gradient": 1e-8}),  # Keras' epsilon
    ):
        np.testing.assert_allclose(next(updates_of(TrainConfig(), 1, **options)), expected, rtol=1e-4)
    sgd = TrainConfig(optimizer="sgd", learning_rate=0.1)
    np.testing.assert_allclose(list(updates_of(sgd, 2)), [-0.05, -0.05], rtol=1e-6)
    heavy = dataclasses.replace(sgd, momentum=0.9, weight_decay=0.25)  # the gradient becomes 0.5 + 0.25 * 2
    np.testing.assert_allclose(list(updates_of(heavy, 2)), [-0.1, -0.19], rtol=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 9, 100])
def test_schedules(schedule, steps):
    rates = [
        float(make_schedule(TrainConfig(learning_rate=0.5, schedule=schedule), steps)(i)) for i in range(steps)
    ]
    assert np.isfinite(rates).all()
    assert min(rates) >= 0
    assert max(rates) == pytest.approx(0.5)
    if steps == 100:
        ends = {"constant": (0.5, 0.5), "warmup_cosine": (0, 0), "exponential": (0.5, 0.005)}
        assert (rates[0], rates[-1]) == pytest.approx(ends.get(schedule, (0.5, 0)), abs=0.006)
        assert rates.index(max(rates)) == (10 if schedule == "warmup_cosine" else 0)


WRONG = [  # options, words of the message
    ({"epochs": 0}, ["epochs must be a whole number from 1", "got 0"]),
    ({"epochs": 1.5}, ["epochs must be a whole number", "got 1.5"]),
    ({"epochs": True}, ["epochs", "got True"]),
    ({"epochs": None}, ["epochs", "got None"]),
    ({"batch_size": -1}, ["batch_size", "got -1"]),
    ({"learning_rate": 0}, ["learning_rate must be a number", "got 0"]),
    ({"learning_rate": float("nan")}, ["learning_rate", "got nan"]),
    ({"learning_rate": float("inf")}, ["learning_rate", "got inf"]),
    ({"learning_rate": "0.1"}, ["learning_rate", "got '0.1'"]),
    ({"momentum": 1}, ["momentum", "got 1"]),
    ({"momentum": 0.9}, ["momentum=0.9 does not go with adam"]),
    ({"weight_decay": -0.1}, ["weight_decay", "got -0.1"]),
    ({"seed": -1}, ["seed", "got -1"]),
    ({"seed": 10**400}, ["seed", "got 1000"]),
    ({"optimizer": "adamm"}, ["optimizer 'adamm' is unknown", "did you mean adam?"]),
    ({"optimizer": None}, ["optimizer None is unknown"]),
    ({"schedule": "zigzag"}, ["schedule 'zigzag'", "constant, cosine"]),
    ({"pixels": "Raw"}, ["pixels 'Raw'", "choose one of raw, unit, standardized"]),
    ({"dtype": "float64"}, ["dtype 'float64'", "choose one of float32, bfloat16"]),
    ({"formulation": ["plain"]}, ["formulation ['plain'] is unknown"]),
    ({"augment": "no"}, ["augment must be True or False, got 'no'"]),
    ({"dataset": 3}, ["dataset must be text, got 3"]),
    ({"out": 3}, ["out must be text, got 3"]),
    ({"activation": "rleu"}, ["rleu", "did you mean relu"]),
    ({"activation": "leaky_relu(slope=1)"}, ["slope"]),
]


@pytest.mark.parametrize(("options", "words"), WRONG, ids=str)
def test_wrong_option_is_one_line(options, words):
    with pytest.raises(InputError) as caught:
        TrainConfig(**options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_options_may_be_numbers_and_paths_of_others(tmp_path):
    config = TrainConfig(epochs=np.int64(3), learning_rate=np.float32(0.5), seed=np.uint8(7), out=tmp_path)
    assert (
        json.loads(json.dumps(config.to_dict()))
        == TrainConfig(epochs=3, learning_rate=0.5, seed=7, out=str(tmp_path)).to_dict()
    )


def test_config_is_what_its_dict_says():
    config = TrainConfig(
        activation="LeakyReLU(negative_slope=0.2)", optimizer="sgd", momentum=0.5, weight_decay=0.1
    )
    again = TrainConfig(**json.loads(json.dumps(config.to_dict())))
    assert again.to_dict() == config.to_dict()
    assert TrainConfig(activation=cube).to_dict()["activation"] == "test_training:cube"


# --- the run folder ---------------------------------------------------------------------------------------

KEYS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
CLOCK = ["train_seconds", "val_seconds", "images_per_second"]


def test_run_folder(data, tmp_path):
    folder = tmp_path / "deep" / "run $x^$"
    reported, started = [], []
    config = dataclasses.replace(TOY, out=folder)
    result = fit(config, dataset=data, report=reported.append, started=started.append, tensorboard=True)
    assert started == [data]
    assert result.folder == folder
    assert metrics(folder) == result.history == reported
    assert [list(row) for row in result.history] == [KEYS + CLOCK] * 2
    assert [row["epoch"] for row in result.history] == [1, 2]
    assert all(row[key] > 0 for row in result.history for key in CLOCK)
    record = json.loads((folder / "config.json").read_text())
    assert record["options"] == config.to_dict()
    assert record["data"]["classes"] == list(data.classes)
    assert record["data"]["images"] == [200, 51]
    assert record["versions"]["jax"] == jax.__version__
    assert record["device"]["platform"] == jax.default_backend()
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list((folder / "tensorboard").glob("events.out.tfevents.*"))
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["14", "7"]
    assert not list(folder.glob(".*"))
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    with pytest.raises(InputError, match=r"holds a run already; go on with `jaxact train --resume"):
        fit(config, dataset=data)
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before


def test_old_checkpoints_go(data, tmp_path):
    fit(dataclasses.replace(TOY, epochs=5, out=tmp_path), dataset=data)
    assert sorted(int(path.name) for path in (tmp_path / "checkpoints").iterdir()) == [21, 28, 35]


def test_folder_that_cannot_be_made(data, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OSError, match=str(tmp_path / "file")):
            fit(dataclasses.replace(TOY, out=out), dataset=data)


def test_no_folder_no_files(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fit(TOY, dataset=data).folder is None
    assert not list(tmp_path.iterdir())


def test_bar_is_for_terminals(data, monkeypatch):
    for terminal, progress in ((True, True), (True, False), (False, True)):
        screen = io.StringIO()
        monkeypatch.setattr(screen, "isatty", lambda terminal=terminal: terminal, raising=False)
        monkeypatch.setattr(sys, "stderr", screen)
        fit(TOY, dataset=data, progress=progress)
        assert ("epoch 2/2" in screen.getvalue()) == (terminal and progress)


@pytest.mark.usefixtures("_nothing_kept")
def test_loss_that_is_not_finite(data, tmp_path, monkeypatch):
    """The optimizer breaks in the third step of the second epoch; the fourth sees it."""

    def rate(step):
        return jnp.where(step == 9, jnp.nan, 1e-3)

    monkeypatch.setattr("jaxact.training.programs.make_optimizer", lambda config, steps: optax.sgd(rate))
    config = dataclasses.replace(TOY, optimizer="sgd", out=tmp_path)
    with pytest.raises(
        DivergedError, match=r"epoch 2, step 4 of 7; the checkpoint of epoch 1 is kept; try a smaller"
    ):
        fit(config, dataset=data)
    assert [row["epoch"] for row in metrics(tmp_path)] == [1]
    trained = load_trained(tmp_path)
    assert trained.epoch == 1
    assert np.isfinite(np.asarray(trained.logits(data.test_images))).all()
    with pytest.raises(DivergedError, match=r"epoch 2, step 4 of 7"):
        fit(resume=tmp_path, dataset=data)


# --- data of one's own ------------------------------------------------------------------------------------

BAD_DATA = {
    "train_images": (lambda d: d.train_images / 255, r"train_images must be uint8 .* got float64"),
    "train_labels": (lambda d: d.train_labels[:-1], r"train_labels must be integers"),
    "test_labels": (lambda d: d.test_labels + 100, r"test_labels must be from 0 to"),
    "test_images": (lambda d: d.test_images[:0], r"test_images must be uint8 .* got uint8 \[0"),
}


@pytest.mark.parametrize("field", BAD_DATA)
def test_data_that_are_no_data_set(field):
    change, message = BAD_DATA[field]
    data = toy()
    with pytest.raises(InputError, match=message):
        fit(TrainConfig(epochs=1), dataset=data._replace(**{field: change(data)}))


def test_every_start_gets_a_folder_of_its_own(tmp_path):
    config = TrainConfig(activation="leaky_relu(0.2)")
    folders = [claim_folder(config, tmp_path) for _ in range(3)]
    assert [f.name for f in folders] == [f"digits-leaky_relu-negative_slope-0.2-{i}" for i in (1, 2, 3)]
    assert all(f.is_dir() for f in folders)


def test_state_is_the_same_in_float64_mode():
    """So that a run goes on, and is evaluated, whatever JAX_ENABLE_X64 says."""
    types = []
    for wide in (False, True):
        with jax.enable_x64(wide):
            params = {"w": jnp.zeros(3, jnp.float32)}
            state = initial_state(params, make_optimizer(TrainConfig(), 10), jax.random.key(0))
            types.append([(leaf.dtype, leaf.shape) for leaf in jax.tree.leaves(state)])
    assert types[0] == types[1]
