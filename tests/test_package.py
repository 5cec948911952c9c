"""The house: what an import loads, who imports whom, what is documented."""

import ast
import importlib
import importlib.metadata
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import jaxact

ROOT = Path(jaxact.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
HEAVY = {
    *("flax", "optax", "orbax", "matplotlib", "tensorflow", "tensorflow_datasets", "sklearn", "PIL"),
    *("tyro", "rich", "tqdm", "tensorboardX", "flint", "torch", "keras"),
}

# Who may import what of jaxact, lowest first. The rest (layers, plotting, doors) may import all.
MAY_IMPORT = {
    "errors": set(),
    "atomic": set(),
    "document": set(),
    "terminal": set(),
    "activations": {"activations", "errors"},
    "catalog": {"catalog", "activations", "errors"},
    "analysis": {"analysis", "activations", "errors"},
    "learnable": {"learnable", "activations", "errors"},
    "layers": {"layers", "learnable", "activations", "errors"},
    "testing": {"testing", "analysis", "catalog", "activations", "errors"},
    "diagnosis": {  # knows functions by the catalogue, and says what another one would do
        *("diagnosis", "analysis", "mean_field", "catalog", "activations", "initializers", "plotting", "errors"),
        *("atomic", "document", "terminal"),
    },
    "initializers": {"analysis", "activations", "errors"},
    "training": {  # a run keeps its curves, a sweep initialises by gains, a monitor diagnoses
        *("training", "catalog", "activations", "errors", "atomic", "plotting", "initializers", "diagnosis"),
        "terminal",
    },
    "plotting": {"plotting", "analysis", "mean_field", "diagnosis", "errors", "atomic"},  # it draws their results
}


def module_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module):
    """`jaxact.training.data` belongs to `training`; the package itself to the empty part."""
    return f"{module}.".split(".")[1]


def imports_of(path):
    """Modules of jaxact that a file names in an import statement, at any depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "jaxact")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            if node.module == "jaxact":
                yield from (f"jaxact.{alias.name}" for alias in node.names)
            elif node.module.split(".")[0] == "jaxact":
                yield node.module


def loaded_by(code):
    code = f"import sys, json; {code}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code", ["import jaxact", "import jaxact; jaxact.serialize(jaxact.get('elu(0.5)')); dir(jaxact)"]
)
def test_import_loads_jax_and_nothing_heavier(code):
    loaded = loaded_by(code)
    assert {"jax", "jaxact", "jaxact.catalog"} <= loaded
    assert not loaded & HEAVY
    assert not {
        module
        for module in loaded
        if part_of(module) in {"training", "plotting", "cli", "diagnosis", "layers", "testing"}
    } & {module for module in loaded if module.startswith("jaxact.")}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_order_of_imports(path):
    part = part_of(module_of(path))
    if part in MAY_IMPORT:
        used = {part_of(module) for module in imports_of(path)}
        assert used <= MAY_IMPORT[part], used - MAY_IMPORT[part]


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_modules_are_short_and_say_what_they_are(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_everything_public_has_a_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                    assert ast.get_docstring(inner), f"{node.name}.{inner.name}"


def test_public_names():
    for name in (name for name in vars(jaxact) if not name.startswith("_")):
        value = getattr(jaxact, name)
        if callable(value) or inspect.ismodule(value):
            assert inspect.getdoc(value), name
    for name in jaxact.ACTIVATIONS:
        assert getattr(jaxact, name) is getattr(jaxact.activations, name)


def test_lazy_names_are_listed():
    assert set(jaxact._LAZY) <= set(dir(jaxact))
    assert jaxact.training is importlib.import_module("jaxact.training")


def test_unknown_name():
    with pytest.raises(AttributeError, match=r"^module 'jaxact' has no attribute 'nonsense'$"):
        jaxact.nonsense  # noqa: B018
    assert not hasattr(jaxact, "relu_")


def test_version():
    assert jaxact.__version__ == importlib.metadata.version("jaxact")


def test_typed():
    assert (ROOT / "py.typed").exists()
