"""The pure training step, and the programs made of it: a stretch of an epoch, and an evaluation."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array, lax

EVALUATION_BATCH = 500
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


def shift_and_mirror(key: Array, images: Array, mirror: bool, reach: int = 4) -> Array:
    """Random shifts of up to ``reach`` pixels, zeros coming in, and mirror images for half of the batch.

    Args:
      key: random key.
      images: [n, height, width, channels].
      mirror: whether to mirror.
      reach: greatest shift in pixels.
    """
    n, *shape = images.shape
    padded = jnp.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    shift_key, mirror_key = jax.random.split(key)
    corners = jax.random.randint(shift_key, (n, 2), 0, 2 * reach + 1)
    images = jax.vmap(lambda image, c: lax.dynamic_slice(image, (c[0], c[1], 0), shape))(padded, corners)
    if mirror:
        chosen = jax.random.bernoulli(mirror_key, shape=(n, 1, 1, 1))
        images = jnp.where(chosen, images[:, :, ::-1], images)
    return images


def in_batches(f: Callable[..., Any], *arrays: Array) -> Any:
    """``f(*arrays)`` computed a batch of leading rows at a time, to bound the memory."""
    whole = len(arrays[0]) // EVALUATION_BATCH
    parts = []
    if whole:
        head = [a[: whole * EVALUATION_BATCH].reshape(whole, EVALUATION_BATCH, *a.shape[1:]) for a in arrays]
        parts.append(jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:]), lax.map(lambda rows: f(*rows), head)))
    if len(arrays[0]) % EVALUATION_BATCH:
        parts.append(f(*(a[whole * EVALUATION_BATCH :] for a in arrays)))
    return jax.tree.map(lambda *ys: jnp.concatenate(ys), *parts)


def make_functions(
    graphdef: nnx.GraphDef,
    pixels: Pixels,
    *,
    images: int,
    batch_size: int,
    augment: Callable[[Array, Array], Array] | None = None,
) -> Functions:
    """The pure functions of a network.

    Every image is seen once an epoch: the last batch is filled up with images of weight 0.

    Args:
      graphdef: the model without its parameters.
      pixels: how pixels become inputs.
      images: number of training images.
      batch_size: images in a step.
      augment: function of a key and a batch of uint8 images.
    """
    steps = -(-images // batch_size)

    def losses(params: Any, batch: Array, labels: Array) -> tuple[Array, Array]:
        logits = nnx.merge(graphdef, params)(pixels.inputs(batch)).astype(jnp.float32)
        # The one-hot form: the gradient of a gather is a scatter, which is slow on a CPU.
        targets = jax.nn.one_hot(labels, logits.shape[-1], dtype=jnp.float32)
        return optax.softmax_cross_entropy(logits, targets), logits.argmax(-1).astype(jnp.int32)

    def step(optimizer: Optimizer, state: TrainState, data: Array, labels: Array, order: Array) -> TrainState:
        start = state.step % steps * batch_size
        index = lax.dynamic_slice(order, (start,), (batch_size,))
        weight = (start + jnp.arange(batch_size) < images).astype(jnp.float32)
        batch = data[index]
        if augment is not None:
            _, augment_key = jax.random.split(state.key)
            batch = augment(jax.random.fold_in(augment_key, state.step), batch)

        def mean_loss(params: Any) -> tuple[Array, tuple[Array, Array]]:
            each, found = losses(params, batch, labels[index])
            total = (each * weight).sum()
            return total / weight.sum(), (total, ((found == labels[index]) * weight).sum())

        grads, (loss, correct) = jax.grad(mean_loss, has_aux=True)(state.params)
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
        return in_batches(lambda batch, labels: losses(params, batch, labels), data, labels)

    return Functions(order, advance, evaluate)


def make_programs(graphdef: nnx.GraphDef, optimizer: Optimizer, pixels: Pixels, **options: Any) -> Programs:
    """The programs of a run: `make_functions`, compiled.

    Args:
      graphdef: the model without its parameters.
      optimizer: the Optax optimizer.
      pixels: how pixels become inputs.
      options: images, batch_size and augment of `make_functions`.
    """
    pure = make_functions(graphdef, pixels, **options)
    advance = jax.jit(functools.partial(pure.advance, optimizer), donate_argnums=0)
    return Programs(jax.jit(pure.order), advance, jax.jit(pure.evaluate))
