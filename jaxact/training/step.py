"""The pure training step, and the programs made of it: a stretch of an epoch, and an evaluation."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array, lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jaxact.training.devices import DATA

AT_ONCE = 128  # images that a core of a CPU takes at once: what is made of more falls out of its cache
EVALUATED = 500  # the same of an accelerator in evaluation; a training step it takes whole
Optimizer = optax.GradientTransformation


class TrainState(NamedTuple):
    """All that a run needs to go on, as one pytree of arrays.

    Attributes:
      params: parameters of the model.
      opt_state: state of the optimizer.
      key: random key of the run; orders and augmentations are folded in from it, so it never changes.
      step: steps taken, int32.
      loss: sum of the losses of the images of this epoch, float32.
      correct: number of those that were classified rightly, int32.
      bad_step: first step whose loss was not finite, or -1, int32.
    """

    params: Any
    opt_state: Any
    key: Array
    step: Array
    loss: Array
    correct: Array
    bad_step: Array


class Pixels(NamedTuple):
    """How pixels of 0 to 255 become inputs: ``(pixel - shift) * scale``, each [3] float32."""

    shift: Array
    scale: Array

    def inputs(self, images: Array) -> Array:
        """Inputs of the network, float32, from uint8 images [n, height, width, 3]."""
        shift, scale = (a.reshape(1, 1, 1, -1) for a in self)
        return (images.astype(jnp.float32) - shift) * scale


class Functions(NamedTuple):
    """The pure functions of one network, to be compiled as they are or over many networks.

    Attributes:
      order: state to the order of the images of its epoch, int32 [steps * batch].
      advance: (optimizer, state, images, labels, order, steps) to the state so many steps later.
      evaluate: (params, images, labels) to the loss, float32, and the class found, int32, of each image.
    """

    order: Callable[[TrainState], Array]
    advance: Callable[..., TrainState]
    evaluate: Callable[[Any, Array, Array], tuple[Array, Array]]


class Programs(NamedTuple):
    """The compiled programs of a run.

    Attributes:
      order: state to the order of the images of its epoch, int32 [steps * batch].
      advance: (state, images, labels, order, steps) to the state so many steps later; the state is donated.
      evaluate: (params, images, labels) to the loss, float32, and the class found, int32, of each image.
    """

    order: Callable[[TrainState], Array]
    advance: Callable[..., TrainState]
    evaluate: Callable[[Any, Array, Array], tuple[Array, Array]]


def initial_state(params: Any, optimizer: Optimizer, key: Array) -> TrainState:
    """The state before the first step."""
    counts = jnp.array([0, 0, -1], jnp.int32)  # each taken apart is a buffer of its own, as donation needs
    return TrainState(
        params, optimizer.init(params), key, counts[0], jnp.zeros((), jnp.float32), counts[1], counts[2]
    )


def start_epoch(state: TrainState) -> TrainState:
    """The state with the sums of the epoch at zero."""
    return state._replace(loss=jnp.zeros_like(state.loss), correct=jnp.zeros_like(state.correct))


def shift_and_mirror(key: Array, images: Array, places: Array, mirror: bool, reach: int = 4) -> Array:
    """Random shifts of up to ``reach`` pixels, zeros coming in, and mirror images for half of the batch.

    Args:
      key: random key.
      images: [n, height, width, channels].
      places: place of each image in its batch, int32 [n]; what is drawn depends on nothing else.
      mirror: whether to mirror.
      reach: greatest shift in pixels.
    """

    def one(image: Array, place: Array) -> Array:
        shift_key, mirror_key = jax.random.split(jax.random.fold_in(key, place))
        corner = jax.random.randint(shift_key, (2,), 0, 2 * reach + 1)
        padded = jnp.pad(image, ((reach, reach), (reach, reach), (0, 0)))
        image = lax.dynamic_slice(padded, (corner[0], corner[1], 0), image.shape)
        return jnp.where(jax.random.bernoulli(mirror_key), image[:, ::-1], image) if mirror else image

    return jax.vmap(one)(images, places)


def in_parts(f: Callable[..., Any], *arrays: Array) -> Any:
    """``f(*arrays)`` of a function of each row, computed a part of the leading rows at a time."""
    limit = AT_ONCE if jax.default_backend() == "cpu" else EVALUATED
    count = len(arrays[0])
    parts = max(1, -(-count // limit))
    size = -(-count // parts)  # of all parts, so that there is one program

    def cut(a: Array) -> Array:
        return jnp.pad(a, [(0, parts * size - count), *[(0, 0)] * (a.ndim - 1)]).reshape(parts, size, *a.shape[1:])

    found = lax.map(lambda rows: f(*rows), [cut(a) for a in arrays])
    return jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:])[:count], found)


def sum_of_parts(f: Callable[..., Any], parts: int, *arrays: Array) -> Any:
    """``f(*arrays)`` of a function that is a sum over leading rows, computed a part of the rows at a time."""
    if parts == 1:
        return f(*arrays)
    rows = [a.reshape(parts, -1, *a.shape[1:]) for a in arrays]

    def add(part: Array, total: Any) -> Any:
        return jax.tree.map(jnp.add, total, f(*(a[part] for a in rows)))

    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(f, *(a[0] for a in rows)))
    return lax.fori_loop(0, parts, add, zeros)


def make_functions(
    graphdef: nnx.GraphDef,
    pixels: Pixels,
    *,
    images: int,
    batch_size: int,
    augment: Callable[[Array, Array, Array], Array] | None = None,
    shards: int = 1,
    rows_apart: bool = False,
) -> Functions:
    """The pure functions of a network.

    Every image is seen once an epoch: the last batch is filled up with images of weight 0.

    Args:
      graphdef: the model without its parameters.
      pixels: how pixels become inputs.
      images: number of training images.
      batch_size: images in a step.
      augment: function of a key, uint8 images and their places in the batch.
      shards: devices that share a batch; if several, the functions are those of one device inside a
        `jax.shard_map` with the axis `DATA`, and ``evaluate`` has that device's images.
      rows_apart: whether the training images are spread over those devices too.
    """
    steps, width = -(-images // batch_size), -(-batch_size // shards)  # width: images of a device in a step
    parts = -(-width // AT_ONCE) if jax.default_backend() == "cpu" else 1
    width = -(-width // parts) * parts

    def total(tree: Any) -> Any:
        return lax.psum(tree, DATA) if shards > 1 else tree

    def take(data: Array, order: Array, places: Array, start: Array) -> Array:
        """The images of this device in a step."""
        if not rows_apart:
            return data[order[start + places]]
        everybody = jnp.minimum(jnp.arange(width * shards), batch_size - 1)
        row = order[start + everybody] - lax.axis_index(DATA) * len(data)
        own = ((row >= 0) & (row < len(data))).reshape(-1, *[1] * (data.ndim - 1))
        found = jnp.where(own, data[row], 0).astype(jnp.int32)  # each image from the device that has it
        return lax.psum_scatter(found, DATA, tiled=True).astype(data.dtype)

    def losses(params: Any, batch: Array, labels: Array) -> tuple[Array, Array]:
        logits = nnx.merge(graphdef, params)(pixels.inputs(batch)).astype(jnp.float32)
        # The one-hot form: the gradient of a gather is a scatter, which is slow on a CPU.
        targets = jax.nn.one_hot(labels, logits.shape[-1], dtype=jnp.float32)
        return optax.softmax_cross_entropy(logits, targets), logits.argmax(-1).astype(jnp.int32)

    def step(optimizer: Optimizer, state: TrainState, data: Array, labels: Array, order: Array) -> TrainState:
        start = state.step % steps * batch_size
        count = jnp.minimum(batch_size, images - start)
        place = jnp.arange(width) + (lax.axis_index(DATA) * width if shards > 1 else 0)
        weight = (place < count).astype(jnp.float32)
        place = jnp.minimum(place, batch_size - 1)
        batch, targets = take(data, order, place, start), labels[order[start + place]]
        if augment is not None:
            _, augment_key = jax.random.split(state.key)
            batch = augment(jax.random.fold_in(augment_key, state.step), batch, place)

        def mean_loss(
            params: Any, batch: Array, targets: Array, weight: Array
        ) -> tuple[Array, tuple[Array, Array]]:
            each, found = losses(params, batch, targets)
            loss = (each * weight).sum()
            return loss / count, (loss, ((found == targets) * weight).sum())

        def of_part(*rows: Array) -> Any:
            return jax.grad(mean_loss, has_aux=True)(state.params, *rows)

        grads, (loss, correct) = total(sum_of_parts(of_part, parts, batch, targets, weight))
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        bad = (state.bad_step < 0) & ~jnp.isfinite(loss)
        return TrainState(
            optax.apply_updates(state.params, updates),
            opt_state,
            state.key,
            state.step + 1,
            state.loss + loss,
            state.correct + correct.astype(jnp.int32),
            jnp.where(bad, state.step, state.bad_step),
        )

    def order(state: TrainState) -> Array:
        order_key, _ = jax.random.split(state.key)
        key = jax.random.fold_in(order_key, state.step // steps)
        return jnp.pad(jax.random.permutation(key, images), (0, steps * batch_size - images))

    def advance(
        optimizer: Optimizer, state: TrainState, data: Array, labels: Array, order: Array, count: Array
    ) -> TrainState:
        return lax.fori_loop(0, count, lambda _, state: step(optimizer, state, data, labels, order), state)

    def evaluate(params: Any, data: Array, labels: Array) -> tuple[Array, Array]:
        found = in_parts(lambda batch, labels: losses(params, batch, labels), data, labels)
        return lax.all_gather(found, DATA, tiled=True) if shards > 1 else found

    return Functions(order, advance, evaluate)


def make_programs(
    graphdef: nnx.GraphDef,
    optimizer: Optimizer,
    pixels: Pixels,
    *,
    mesh: Mesh | None = None,
    rows_apart: bool = False,
    **options: Any,
) -> Programs:
    """The programs of a run: `make_functions`, compiled.

    Args:
      graphdef: the model without its parameters.
      optimizer: the Optax optimizer.
      pixels: how pixels become inputs.
      mesh: devices to spread each batch over, along the axis `DATA`; the test images are spread over them too.
      rows_apart: whether the training images are spread as well; otherwise all devices have all of them.
      options: images, batch_size and augment of `make_functions`.
    """
    shards = mesh.shape[DATA] if mesh else 1
    pure = make_functions(graphdef, pixels, shards=shards, rows_apart=rows_apart, **options)
    advance, evaluate = functools.partial(pure.advance, optimizer), pure.evaluate
    if shards > 1:
        shard = functools.partial(jax.shard_map, mesh=mesh, out_specs=P(), check_vma=False)
        rows = P(DATA)
        advance = shard(advance, in_specs=(P(), rows if rows_apart else P(), P(), P(), P()))
        evaluate = shard(evaluate, in_specs=(P(), rows, rows))
    return Programs(jax.jit(pure.order), jax.jit(advance, donate_argnums=0), jax.jit(evaluate))
