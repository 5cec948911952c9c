"""The options of a command that several processes can run together, on one machine or many."""

import dataclasses

from jaxact.errors import InputError
from jaxact.training.devices import join


@dataclasses.dataclass(frozen=True)
class Together:
    """Options of a command that several processes can run together.

    Attributes:
      coordinator: where processes that train together meet: HOST:PORT of process 0, or "auto" under Slurm, Open
        MPI, Kubernetes and on TPU pods. They need one --out, on a disk that they share.
      processes: number of such processes; by default JAX_NUM_PROCESSES.
      process: number of this one, from 0; by default JAX_PROCESS_ID.
    """

    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None

    def join(self, out: str | None) -> None:
        """Joins the others, if there are any; before JAX is first used.

        Args:
          out: folder that they share.

        Raises:
          InputError: if there is no such folder, or they do not come together.
        """
        if self.coordinator is None:
            return
        if not out:
            raise InputError("out must name the folder that all processes share, got none")
        join(self.coordinator, self.processes, self.process)
