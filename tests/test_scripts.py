"""The scripts refuse what they cannot use, and tell what they measured."""

import importlib.util
import runpy
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from test_monitor import BATCH, made, parameters

SCRIPTS = Path(__file__).parents[1] / "scripts"
REFUSED = {
    "diagnose_training --dataset digits --seeds 0": "--seeds must be at least 1, got 0",
    "diagnose_training --dataset digits --activations relu,rleu": "unknown activation 'rleu'; did you mean relu",
    "diagnose_training --dataset digits --epochs 0": "epochs must be a whole number from 1",
    "diagnose_training --dataset digitz": "unknown data set 'digitz'",
    "compare_activations --seeds 0": "--seeds must be at least 1, got 0",
    "compare_activations --activations relu rleu": "unknown activation 'rleu'; did you mean relu",
    "sweep_activations --activations rleu": "unknown activation 'rleu'; did you mean relu",
    "bench_activations --functions rleu": "not in both jaxact and jax.nn: rleu",
    "bench_activations --repeats 0": "--repeats and --sizes must be at least 1",
    "bench_saturation --points 0": "--repeats, --points, --devices and the number of --functions must be",
}


@pytest.mark.parametrize("command", REFUSED)
def test_bad_input_is_one_line_and_code_2(command, capsys, monkeypatch, tmp_path):
    name, *args = command.split()
    monkeypatch.setattr(sys, "argv", [name, *args])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"jaxact: {REFUSED[command]}")
    assert not [*tmp_path.iterdir()]


@pytest.fixture(scope="module")
def story():
    """The script of the story, and the rows of two toy networks that were diagnosed at two steps."""
    spec = importlib.util.spec_from_file_location("story", SCRIPTS / "diagnose_training.py")
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script
    spec.loader.exec_module(script)
    runs = []
    for seed in (0, 1):
        monitor = made()
        for step, scale in enumerate((1.0, 0.0 if seed else 1.0)):  # the second one loses its first layer
            monitor.observe(step, jax.tree.map(lambda w, s=scale: w * s, parameters(seed)), BATCH)
        runs.append(monitor.rows)
    return script, runs


def test_the_story_of_several_seeds_is_their_mean(story):
    script, runs = story
    accuracy, before, after, *shares = script.cells([0.5, 0.75], runs)
    assert accuracy == "0.625 \u00b1 0.177"
    assert before == "healthy network"
    assert "(1 of 2)" in after
    alone = [script.cells([0.5], [run]) for run in runs]
    assert [row[0] for row in alone] == ["0.500", "0.500"]
    for mean, *each in zip(shares[:3], *(row[3:6] for row in alone), strict=True):
        values = [float(cell.rstrip("%")) for cell in each]
        np.testing.assert_allclose(float(mean.rstrip("%")), np.mean(values), atol=0.1)


@pytest.mark.parametrize("count", [1, 2])
def test_the_figure_says_what_its_lines_are(story, count):
    script, runs = story
    figure = script.picture({(pixels, "relu"): runs[:count] for pixels in ("raw", "standardized")}, ["relu"])
    assert all(len(pane.lines) == count for pane in figure.axes)
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["relu"]
    assert legend.get_title().get_text() == ("one line for each seed" if count > 1 else "")
