"""Training: data sets, LeNet-5, the jitted Optax step, checkpoints and run folders."""

from jaxact.training.config import OPTIMIZERS as OPTIMIZERS
from jaxact.training.config import TrainConfig as TrainConfig
from jaxact.training.data import Dataset as Dataset
from jaxact.training.data import load_dataset as load_dataset
from jaxact.training.data import prepare_dataset as prepare_dataset
from jaxact.training.inference import evaluate as evaluate
from jaxact.training.inference import load_trained as load_trained
from jaxact.training.inference import predict as predict
from jaxact.training.inference import sample_batches as sample_batches
from jaxact.training.interrupt import Interrupted as Interrupted
from jaxact.training.lenet import LeNet5 as LeNet5
from jaxact.training.lenet import layer_table as layer_table
from jaxact.training.loop import DivergedError as DivergedError
from jaxact.training.loop import Result as Result
from jaxact.training.loop import fit as fit
from jaxact.training.sweep import SweepResult as SweepResult
from jaxact.training.sweep import run_sweep as run_sweep
from jaxact.training.sweep_config import SweepConfig as SweepConfig
from jaxact.training.sweep_summary import Summary as Summary
from jaxact.training.sweep_summary import summarize as summarize
