"""Laws of the data layer, on tiny prepared folders that are written here byte by byte."""

import errno
import hashlib
import importlib.util
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from jaxact.errors import InputError
from jaxact.training import data
from jaxact.training.cache import read_cache, write_cache
from jaxact.training.data import Dataset, load_dataset, prepare_dataset
from jaxact.training.prepare import quiet_tfds

CLASSES = ("cat", "dog", "owl")
HEAVY = ("PIL", "sklearn", "tensorflow", "tensorflow_datasets")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXACT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "cache"


def png(image):
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()


def write_folder(root, *, version="1.0.0", images=None, labels=None, splits=("train", "test"), shape=(32, 32, 3)):
    """Write what TFDS would: a folder ``root/toy/version`` of array_record files; return it and the images."""
    with quiet_tfds():
        from array_record.python.array_record_module import ArrayRecordWriter
        from tensorflow_datasets.proto import tf_example_pb2

    folder = root / "toy" / version
    folder.mkdir(parents=True)
    if images is None:
        images = np.random.default_rng(0).integers(0, 256, (12, *shape), np.uint8).squeeze()
    labels = np.arange(len(images)) % 3 if labels is None else labels
    for split in splits:
        path = folder / f"toy-{split}.array_record-00000-of-00001"
        writer = ArrayRecordWriter(str(path), "group_size:1")
        for image, label in zip(images, labels, strict=True):
            example = tf_example_pb2.Example()
            features = example.features.feature
            features["image"].bytes_list.value.append(image if isinstance(image, bytes) else png(image))
            features["label"].int64_list.value.append(int(label))
            writer.write(example.SerializeToString())
        writer.close()
    template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    info = {"fileFormat": "array_record", "name": "toy", "version": version, "moduleName": "toy"}
    info["splits"] = [
        {"filepathTemplate": template, "name": split, "numBytes": "1", "shardLengths": [str(len(images))]}
        for split in splits
    ]
    (folder / "dataset_info.json").write_text(json.dumps(info))
    prefix = "tensorflow_datasets.core.features"
    image_feature = {"dtype": "uint8", "shape": {"dimensions": [str(size) for size in shape]}}
    parts = {
        "image": {"image": image_feature, "pythonClassName": f"{prefix}.image_feature.Image"},
        "label": {
            "classLabel": {"numClasses": "3"},
            "pythonClassName": f"{prefix}.class_label_feature.ClassLabel",
        },
    }
    top = {"featuresDict": {"features": parts}, "pythonClassName": f"{prefix}.features_dict.FeaturesDict"}
    (folder / "features.json").write_text(json.dumps(top))
    (folder / "label.labels.txt").write_text("\n".join(CLASSES))
    return folder, images


def run(code, *args, **env):
    """Run ``code`` in a fresh interpreter; return its stdout, which is all it may print."""
    result = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, env=os.environ | env, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def same(a: Dataset, b: Dataset):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# --- what is loaded ---------------------------------------------------------------------------------------


def test_digits_are_the_digits_of_scikit_learn():
    from sklearn.datasets import load_digits

    digits = load_dataset("digits")
    reference = load_digits()
    assert digits.train_images.shape == (1437, 32, 32, 3)
    assert digits.test_images.shape == (360, 32, 32, 3)
    assert digits.train_images.dtype == digits.test_images.dtype == np.uint8
    assert digits.train_labels.dtype == digits.test_labels.dtype == np.int32
    assert digits.classes == tuple("0123456789")
    np.testing.assert_array_equal(digits.test_labels, reference.target[::5])
    means = digits.test_images.reshape(360, 8, 4, 8, 4, 3).mean(axis=(2, 4, 5))
    np.testing.assert_allclose(means, reference.images[::5] * 255 / 16, atol=0.5)
    assert digits.test_images.max() == 255


def test_prepared_folder_is_read_in_order(tmp_path):
    _, images = write_folder(tmp_path / "data")
    toy = load_dataset("toy")
    assert toy.name == "toy"
    assert toy.classes == CLASSES
    for split_images, labels in ((toy.train_images, toy.train_labels), (toy.test_images, toy.test_labels)):
        np.testing.assert_array_equal(split_images, images)
        assert (split_images.dtype, labels.dtype) == (np.uint8, np.int32)
        np.testing.assert_array_equal(labels, np.arange(12) % 3)


def test_newest_version_is_read_as_numbers_compare(tmp_path):
    for version, value in (("2.0.0", 2), ("10.0.0", 10), ("9.9.9", 9)):
        write_folder(tmp_path / "data", version=version, images=np.full((2, 32, 32, 3), value, np.uint8))
    assert load_dataset("toy").test_images.max() == 10


def test_argument_goes_before_environment(tmp_path, monkeypatch):
    _, images = write_folder(tmp_path / "elsewhere")
    monkeypatch.setenv("JAXACT_CACHE_DIR", str(tmp_path / "unused"))
    toy = load_dataset("toy", data_dir=tmp_path / "elsewhere", cache_dir=tmp_path / "mine")
    np.testing.assert_array_equal(toy.train_images, images)
    assert (tmp_path / "mine" / "toy.npz").is_file()
    assert not (tmp_path / "unused").exists()


def test_default_configuration_is_found(tmp_path):
    folder, _ = write_folder(tmp_path / "data")
    config = folder.parent / "plain"
    config.mkdir()
    folder.rename(config / folder.name)
    metadata = folder.parent / ".config" / "metadata.json"
    metadata.parent.mkdir()
    metadata.write_text('{"default_config_name": "plain"}')
    assert same(load_dataset("toy/plain")._replace(name="toy"), load_dataset("toy"))


@pytest.mark.parametrize("name", ["digits", "toy"])
def test_second_start_is_silent_equal_and_imports_nothing_heavy(name, tmp_path):
    write_folder(tmp_path / "data")
    code = (
        "import sys, hashlib; from jaxact.training.data import load_dataset; d = load_dataset(sys.argv[1]);"
        "print(hashlib.sha256(b''.join(bytes(a) for a in d[1:5])).hexdigest(), d.classes,"
        f"'|', *[m for m in {HEAVY} if m in sys.modules])"
    )
    cold, cold_modules = run(code, name).split("|")
    warm, warm_modules = run(code, name).split("|")
    assert warm == cold
    assert not warm_modules.strip()
    assert "tensorflow" not in cold_modules.split()


# --- the cache --------------------------------------------------------------------------------------------

ARRAYS = {"images": np.arange(60, dtype=np.uint8).reshape(5, 12), "labels": np.arange(5, dtype=np.int32)}


def test_any_flipped_byte_is_noticed_or_harmless(cache):
    write_cache("toy", "print", ARRAYS, None)
    path = cache / "toy.npz"
    good = path.read_bytes()
    start = good.index(ARRAYS["images"].tobytes())
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 1 << position % 8
        path.write_bytes(bad)
        arrays = read_cache("toy", "print", ARRAYS, None)
        if start <= position < start + 60:
            assert arrays is None
        assert arrays is None or all(np.array_equal(arrays[key], ARRAYS[key]) for key in ARRAYS)


def test_any_truncation_is_noticed(cache):
    write_cache("toy", "print", ARRAYS, None)
    good = (cache / "toy.npz").read_bytes()
    for length in range(len(good)):
        (cache / "toy.npz").write_bytes(good[:length])
        assert read_cache("toy", "print", ARRAYS, None) is None


def test_writers_and_readers_at_once_meet_whole_files(cache):
    def work(i):
        write_cache("toy", "print", {"a": np.full(100_000, i)}, None)
        arrays = read_cache("toy", "print", "a", None)
        return arrays is not None and len(np.unique(arrays["a"])) == 1

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(32)))
    assert [path.name for path in cache.iterdir()] == ["toy.npz"]


SPOIL = {
    "damaged": lambda folder, cache: (cache / "toy.npz").write_bytes(b"nonsense"),
    "of another source": lambda folder, cache: write_cache("toy", "other", {"a": np.zeros(1)}, cache),
    "a folder": lambda folder, cache: ((cache / "toy.npz").unlink(), (cache / "toy.npz").mkdir()),
    "older than its source": lambda folder, cache: os.utime(folder / "features.json", (1, 1)),
}


@pytest.mark.parametrize("how", SPOIL)
def test_cache_that_is_no_good_is_rebuilt(how, tmp_path, cache, monkeypatch, capfd):
    folder, _ = write_folder(tmp_path / "data")
    first = load_dataset("toy")
    SPOIL[how](folder, cache)
    decoded = []
    decode = data._decode
    monkeypatch.setattr(data, "_decode", lambda *args: decoded.append(1) or decode(*args))
    assert same(load_dataset("toy"), first)
    assert decoded == [1]
    assert len(capfd.readouterr().err.splitlines()) == (how == "a folder")


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail(error):
    raise error


def denied(*args, **kwargs):
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@pytest.mark.parametrize(("owner", "attribute", "failure"), [(os, "fsync", full), (Path, "mkdir", denied)])
def test_cache_that_cannot_be_written_costs_one_line(owner, attribute, failure, cache, monkeypatch, capfd):
    expected = load_dataset("digits")
    (cache / "digits.npz").unlink()
    monkeypatch.setattr(owner, attribute, failure)
    assert same(load_dataset("digits"), expected)
    (line,) = capfd.readouterr().err.splitlines()
    assert "digits is not cached" in line
    assert not list(cache.iterdir())


# --- the user's mistakes ----------------------------------------------------------------------------------


def raises_one_line(words, call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert "Traceback" not in message
    for word in words:
        assert word in message


def edit(path, old, new):
    text = path.read_bytes()
    assert old in text
    path.write_bytes(text.replace(old, new, 1))


def shard(folder):
    return folder / "toy-test.array_record-00000-of-00001"


NAMES = {  # name -> words of the message
    "cifar100": ["'cifar100' is not prepared", "jaxact data prepare cifar100", "--data-dir", "TFDS_DATA_DIR"],
    "cifr10": ["unknown", "'cifr10'", "did you mean", "cifar10"],
    "CIFAR10": ["unknown", "'CIFAR10'", "did you mean", "cifar10"],
    "digit": ["unknown", "'digit'", "digits"],
    "../toy": ["unknown", "'../toy'"],
    "": ["unknown", "''", "svhn_cropped"],
    "toi": ["unknown", "'toi'", "toy"],
}

DAMAGE = {  # what is wrong -> how to break it, words of the message
    "truncated": (lambda f: os.truncate(shard(f), 70_000), ["test split", "damaged", "jaxact data prepare toy"]),
    "empty": (lambda f: os.truncate(shard(f), 0), ["test split", "damaged", "64KB"]),
    "missing": (lambda f: shard(f).unlink(), ["test split", "damaged", "No such file"]),
    "one bit": (lambda f: edit(shard(f), b"IDAT", b"IDAU"), ["test split", "damaged", "hash mismatch"]),
    "info damaged": (lambda f: (f / "dataset_info.json").write_text("{"), ["dataset_info.json", "damaged"]),
    "info no dict": (lambda f: (f / "dataset_info.json").write_text("[]"), ["dataset_info.json", "damaged"]),
    "features damaged": (lambda f: (f / "features.json").write_text("{"), ["damaged", "jaxact data prepare toy"]),
    "features missing": (lambda f: (f / "features.json").unlink(), ["damaged", "jaxact data prepare toy"]),
    "no image": (lambda f: edit(f / "features.json", b'"image": {"image"', b'"photo": {"image"'), ["no image"]),
    "no label": (lambda f: edit(f / "features.json", b'"label": {', b'"kind": {'), ["no class `label`"]),
    "tfrecord": (
        lambda f: edit(f / "dataset_info.json", b"array_record", b"tfrecord"),
        ["tfrecord", "jaxact data prepare toy --data-dir"],
    ),
    "no test split": (
        lambda f: edit(f / "dataset_info.json", b'"test"', b'"dev"'),
        ["no split 'test'", "train, dev"],
    ),
    "a file for a folder": (
        lambda f: (f.parent.rename(f.parents[1] / "t"), f.parent.touch()),
        ["Not a directory"],
    ),
}

CONTENT = {  # what is wrong -> arguments of write_folder, words of the message
    "grey": ({"shape": (28, 28, 1)}, ["(28, 28, 1)", "(32, 32, 3)"]),
    "size": ({"images": np.zeros((2, 16, 16, 3), np.uint8)}, ["image 0", "16x16", "not 32x32"]),
    "mode": ({"images": np.zeros((2, 32, 32, 4), np.uint8)}, ["image 0", "RGBA", "not 32x32"]),
    "no image": ({"images": [b"nonsense"]}, ["train split", "cannot identify image"]),
    "cut image": ({"images": [png(np.zeros((32, 32, 3), np.uint8))[:60]]}, ["train split", "damaged"]),
    "labels": ({"labels": np.arange(12)}, ["labels outside 0..2"]),
    "negative": ({"labels": -np.ones(12)}, ["labels outside 0..2"]),
}


@pytest.mark.parametrize("name", NAMES)
def test_wrong_name(name, tmp_path):
    write_folder(tmp_path / "data")
    raises_one_line([*NAMES[name], str(tmp_path / "data")], load_dataset, name)


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_folder(what, tmp_path):
    folder, _ = write_folder(tmp_path / "data")
    spoil, words = DAMAGE[what]
    spoil(folder)
    raises_one_line([*words, "toy"], load_dataset, "toy")


@pytest.mark.parametrize("what", CONTENT)
def test_folder_of_something_else(what, tmp_path):
    arguments, words = CONTENT[what]
    write_folder(tmp_path / "data", **arguments)
    raises_one_line([*words, "toy"], load_dataset, "toy")


@pytest.mark.parametrize(("owner", "attribute"), [(Path, "iterdir"), (Path, "stat"), (os, "walk")])
def test_unreadable_folder(owner, attribute, tmp_path, monkeypatch):
    write_folder(tmp_path / "data")
    monkeypatch.setattr(owner, attribute, denied)
    raises_one_line(["cannot read", str(tmp_path / "data" / "toy"), "Permission denied"], load_dataset, "toy")


def test_missing_packages(tmp_path, monkeypatch):
    write_folder(tmp_path / "data")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    raises_one_line(["tensorflow-datasets", "pip install 'jaxact[train]'"], load_dataset, "toy")


# --- preparing --------------------------------------------------------------------------------------------


def pretend_tensorflow(monkeypatch, *, installed):
    find_spec = importlib.util.find_spec

    def pretend(name, *args):
        return ("a spec" if installed else None) if name == "tensorflow" else find_spec(name, *args)

    monkeypatch.setattr(importlib.util, "find_spec", pretend)


def fails_with(error):
    def download_and_prepare(self, **kwargs):
        Path(self.data_dir).with_name("incomplete").mkdir(parents=True)
        Path(self.data_dir).with_name("incomplete").rmdir()
        raise error

    return download_and_prepare


PREPARE = {  # what is wrong -> name, what TFDS raises, words of the message
    "embedded": ("digits", None, ["'digits'", "no preparing"]),
    "unknown": ("cifar11", None, ["unknown", "'cifar11'", "cifar10"]),
    "not 32x32x3": ("mnist", None, ["'mnist'", "(28, 28, 1)", "(32, 32, 3)"]),
    "no network": ("cifar10", ConnectionError("unreachable"), ["unreachable", "--archive", "cifar-10-binary"]),
    "no name server": ("cifar10", socket.gaierror(-2, "Name not known"), ["Name not known", "--archive"]),
    "disk full": ("cifar10", OSError(errno.ENOSPC, "No space left"), ["No space left", "--data-dir"]),
    "TFDS": ("cifar10", ValueError("many\n  lines"), ["TFDS cannot prepare 'cifar10': many lines"]),
}


@pytest.mark.parametrize("what", PREPARE)
def test_failed_preparing_is_one_line_and_leaves_nothing(what, tmp_path, monkeypatch):
    name, error, words = PREPARE[what]
    pretend_tensorflow(monkeypatch, installed=True)
    with quiet_tfds() as tfds:
        monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fails_with(error))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: fail(error) if what == "no name server" else [])
    raises_one_line(words, prepare_dataset, name)
    assert not list(tmp_path.glob("data/*"))


ARCHIVES = {  # what is wrong -> name, archive, words of the message
    "missing": ("cifar10", "none.tar.gz", ["none.tar.gz", "No such file"]),
    "another": (
        "cifar10",
        "wrong.tar.gz",
        ["wrong.tar.gz is not cifar-10-binary.tar.gz", "sha256 c4a38c50", "got"],
    ),
    "not in the folder": ("cifar10", ".", ["cannot read", "cifar-10-binary.tar.gz"]),
    "one of several": ("svhn_cropped", "wrong.tar.gz", ["folder", "train_32x32.mat", "test_32x32.mat"]),
}


@pytest.mark.parametrize("what", ARCHIVES)
def test_wrong_archive(what, tmp_path, monkeypatch):
    name, archive, words = ARCHIVES[what]
    pretend_tensorflow(monkeypatch, installed=True)
    (tmp_path / "wrong.tar.gz").write_bytes(b"something else")
    raises_one_line(words, prepare_dataset, name, archive=tmp_path / archive)
    assert not list(tmp_path.glob("data/*"))


def test_preparing_needs_tensorflow(monkeypatch):
    pretend_tensorflow(monkeypatch, installed=False)
    raises_one_line(["'cifar10'", "pip install 'jaxact[prepare]'"], prepare_dataset, "cifar10")


def test_preparing_where_nothing_can_be_written(tmp_path, monkeypatch):
    pretend_tensorflow(monkeypatch, installed=True)
    monkeypatch.setattr(Path, "mkdir", denied)
    raises_one_line(["cannot prepare", "Permission denied", "--data-dir"], prepare_dataset, "cifar10")


def test_prepared_folder_is_returned_at_once(tmp_path, monkeypatch):
    folder, _ = write_folder(tmp_path / "data")
    pretend_tensorflow(monkeypatch, installed=False)
    assert prepare_dataset("toy") == folder


def write_archive(path, records):
    """Write CIFAR-10's archive in its official format, with ``records[split]`` of a label and 3072 bytes."""
    names = [f"data_batch_{i}.bin" for i in range(1, 6)]
    files = dict(zip(names, np.split(records["train"], 5), strict=True)) | {"test_batch.bin": records["test"]}
    blobs = {name: rows.tobytes() for name, rows in files.items()}
    blobs["batches.meta.txt"] = "".join(f"class {i}\n" for i in range(10)).encode()
    with tarfile.open(path, "w:gz") as archive:
        for name, blob in blobs.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(blob)
            archive.addfile(member, io.BytesIO(blob))


def register(monkeypatch, archive):
    """Have TFDS expect ``archive`` as CIFAR-10's."""
    with quiet_tfds() as tfds:
        cls = type(tfds.builder("cifar10"))
        (url, info), *_ = cls.url_infos.items()
        info = type(info)(
            size=tfds.core.utils.Size(archive.stat().st_size),
            checksum=hashlib.sha256(archive.read_bytes()).hexdigest(),
            filename=info.filename,
        )
        monkeypatch.setattr(cls, "url_infos", {url: info})


@pytest.mark.tensorflow
def test_cifar10_from_its_archive(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)
    records = {
        "train": rng.integers(0, 256, (20, 3073), np.uint8),
        "test": rng.integers(0, 256, (6, 3073), np.uint8),
    }
    for rows in records.values():
        rows[:, 0] %= 10
    archive = tmp_path / "download (1).tgz"
    write_archive(archive, records)
    register(monkeypatch, archive)
    folder = prepare_dataset("cifar10", archive=archive)
    assert folder.parent == tmp_path / "data" / "cifar10"
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["cifar10"]
    assert list(folder.parent.iterdir()) == [folder]
    assert prepare_dataset("cifar10") == folder
    cifar = load_dataset("cifar10")
    assert cifar.classes == tuple(f"class {i}" for i in range(10))
    loaded = {"train": (cifar.train_images, cifar.train_labels), "test": (cifar.test_images, cifar.test_labels)}
    for split, (images, labels) in loaded.items():  # TFDS shuffles
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        rows = np.concatenate([labels[:, None].astype(np.uint8), planes], axis=1)
        assert sorted(map(bytes, rows)) == sorted(map(bytes, records[split]))


@pytest.mark.tensorflow
def test_preparing_keeps_stdout_for_the_caller_and_tensorflow_off_the_screen(tmp_path):
    pytest.importorskip("tensorflow")
    code = (
        "import sys, pytest, test_data as t; from pathlib import Path; import numpy as np;"
        "path = Path(sys.argv[1]); zeros = np.zeros((5, 3073), np.uint8);"
        "t.write_archive(path, {'train': zeros, 'test': zeros}); t.register(pytest.MonkeyPatch(), path);"
        "t.prepare_dataset('cifar10', archive=path)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "archive")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=True,
    )
    assert result.stdout == ""
    assert all("cifar10" in line for line in result.stderr.splitlines())


@pytest.mark.tensorflow
def test_broken_archive_leaves_nothing(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow")
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(b"not an archive")
    register(monkeypatch, archive)
    raises_one_line(["cifar10"], prepare_dataset, "cifar10", archive=tmp_path)
    assert not list(tmp_path.glob("data/*"))


# --- the real thing ---------------------------------------------------------------------------------------

REAL = os.environ.get("TFDS_DATA_DIR", "")


@pytest.mark.cifar10
@pytest.mark.skipif(not (REAL and Path(REAL, "cifar10").is_dir()), reason="no cifar10 under TFDS_DATA_DIR")
def test_real_cifar10():
    cifar = load_dataset("cifar10", data_dir=REAL)
    assert cifar.train_images.shape == (50_000, 32, 32, 3)
    assert cifar.test_images.shape == (10_000, 32, 32, 3)
    np.testing.assert_array_equal(np.bincount(cifar.train_labels), [5000] * 10)
    np.testing.assert_array_equal(np.bincount(cifar.test_labels), [1000] * 10)
    assert cifar.classes[0] == "airplane"
    code = (
        "import sys; from jaxact.training.data import load_dataset; d = load_dataset('cifar10');"
        f"print(int(d.train_images.sum(dtype='int64')), *[m for m in {HEAVY} if m in sys.modules])"
    )
    # What makes the second start fast: it decodes nothing and imports nothing heavy.
    assert run(code, TFDS_DATA_DIR=REAL).split() == [str(cifar.train_images.sum(dtype=np.int64))]
