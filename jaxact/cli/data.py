"""Commands `data info` and `data prepare`."""

import dataclasses
from typing import Annotated

import numpy as np
import tyro

from jaxact import plotting, training
from jaxact.cli.output import print_json, print_table


@dataclasses.dataclass(frozen=True)
class Info:
    """Show the splits, counts and classes of a data set, and draw a sheet of sample images.

    Attributes:
      name: "digits", or a data set that is prepared.
      data_dir: folder of the prepared data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets.
      out: picture of the samples; by default NAME.png.
      json: print one JSON object, and nothing else.
    """

    name: Annotated[str, tyro.conf.Positional]
    data_dir: str | None = None
    out: str | None = None
    json: bool = False

    def run(self) -> int:
        """Prints the table and draws the sheet."""
        data = training.load_dataset(self.name, data_dir=self.data_dir, progress=not self.json)
        train, test = (np.bincount(y, minlength=len(data.classes)) for y in (data.train_labels, data.test_labels))
        title = f"{data.name}: {train.sum():,} training and {test.sum():,} test images"
        figure = plotting.images_figure(data.train_images, data.train_labels, data.classes, title=title)
        picture = plotting.save(figure, self.out or f"{self.name.replace('/', '-')}.png")
        if self.json:
            counts = {name: [int(a), int(b)] for name, a, b in zip(data.classes, train, test, strict=True)}
            shape = list(data.train_images.shape[1:])
            print_json({"name": data.name, "image_shape": shape, "classes": counts, "picture": str(picture)})
            return 0
        rows = [(name, int(a), int(b)) for name, a, b in zip(data.classes, train, test, strict=True)]
        rows.append(("total", int(train.sum()), int(test.sum())))
        print_table(("class", "train", "test"), rows)
        print(f"images: 32 x 32 pixels, 3 channels, uint8\nsamples: {picture}")
        return 0


@dataclasses.dataclass(frozen=True)
class Prepare:
    """Download a data set and prepare it as array_record, by tensorflow-datasets (needs the extra `prepare`).

    Attributes:
      name: name in tensorflow-datasets, such as cifar10, cifar100 or svhn_cropped.
      data_dir: where to prepare it; by default TFDS_DATA_DIR, else ~/tensorflow_datasets.
      archive: the original archive, if you have it already; a folder of them for a data set of several.
    """

    name: Annotated[str, tyro.conf.Positional]
    data_dir: str | None = None
    archive: str | None = None

    def run(self) -> int:
        """Prepares the data set and prints where it is."""
        print(training.prepare_dataset(self.name, data_dir=self.data_dir, archive=self.archive))
        return 0
