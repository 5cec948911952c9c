"""Training: data sets, LeNet-5, the jitted Optax step, checkpoints and run folders."""
