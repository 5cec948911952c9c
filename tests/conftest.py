import contextlib
import gc
import os

import jax
import pytest
from jax._src import compiler  # an option of XLA for all programs of a test has no public way in

# Tracing makes many objects and little garbage, and Python's own thresholds spend a tenth of the time on it.
gc.set_threshold(50_000, 20, 20)

# Numerical faults surface as errors, not as silent promotions or broadcasts.
jax.config.update("jax_numpy_dtype_promotion", "standard")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """No test reads or writes the user's cache of decoded data sets."""
    os.environ["JAXACT_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module", autouse=True)
def _forget_programs():
    """Compiled programs go with the module that needed them; kept, they fill gigabytes."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session", autouse=True)
def _own_programs(tmp_path_factory):
    """Compiled programs outlive a test: later runs of LeNet-5, in subprocesses too, compile nothing."""
    options = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("programs")),
        "jax_persistent_cache_min_compile_time_secs": 0.1,
    }
    for name, value in options.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)


@pytest.fixture(scope="session")
def plain_emitters():
    """The option by which XLA compiles loops in the old way, in half the time; none where it is gone (0.12)."""
    option = {"xla_cpu_use_fusion_emitters": False}
    try:
        jax.jit(lambda: 0, compiler_options=option)()
    except jax.errors.JaxRuntimeError:
        return {}
    return option


@contextlib.contextmanager
def compiling(**options):
    """Compiles with options of XLA, in this process and in those that it starts."""

    def changed(*args, **kwargs):
        given = compile_options(*args, **kwargs)
        given.env_option_overrides = [*given.env_option_overrides, *options.items()]
        return given

    compile_options = compiler.get_compile_options
    flags = (f"--{option}={str(value).lower()}" for option, value in options.items())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compiler, "get_compile_options", changed)
        patched.setenv("XLA_FLAGS", " ".join([os.environ.get("XLA_FLAGS", ""), *flags]).strip())
        yield


@pytest.fixture
def compiled_fast(request, plain_emitters):
    """Compiled in half of the time: for tests that mostly compile, and results that do not hang on last digits.

    What the code that users run gives is left to the tests of exactness, and to those marked `as_users_compile`.
    """
    if request.node.get_closest_marker("as_users_compile"):
        yield
        return
    options = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    with compiling(**options, **plain_emitters):
        yield


@pytest.fixture(scope="module")
def training_compiled_fast(plain_emitters):
    """Compiled in a third of the time, and as fast to run: for modules that train, whose results are compared."""
    with compiling(xla_backend_optimization_level=1, **plain_emitters):
        yield


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Runs a command in an empty folder; returns its exit code, stdout and stderr."""
    from jaxact.cli import main

    def call(*args):
        capsys.readouterr()
        try:
            code = main([str(arg) for arg in args])
        except SystemExit as stop:
            code = stop.code
        return code or 0, *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    return call
