"""Features: formats, laziness, alignment with the pairs that remain, and faulty files."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from nmt.config.data import FeatureFiles, FilesDataConfig
from nmt.config.source_settings import SourceConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.data.batches.batch import collate_pairs
from nmt.data.batches.batching import UpdateBatches
from nmt.data.batches.bucketed_batches import BucketedBatches
from nmt.data.batches.loader import UpdateLoader
from nmt.data.features import Features
from nmt.data.preparation.prepared_corpus import PreparedCorpus, prepare
from nmt.data_check.preparation_report import PreparationReporter
from nmt.errors import UserError

Arrays = list[np.ndarray]
NEEDS_SAFETENSORS = "needs the extra safetensors"


def ragged(count: int, size: int = 3) -> Arrays:
    """Array i has 1, 2 or 3 regions, and its first value is i."""
    arrays = [np.full((1 + i % 3, size), 0.5, dtype=np.float32) for i in range(count)]
    for i, array in enumerate(arrays):
        array[0, 0] = i
    return arrays


def stacked(count: int, size: int = 3) -> np.ndarray:
    array = np.full((count, 2, size), 0.5, dtype=np.float32)
    array[:, 0, 0] = np.arange(count)
    return array


def as_folder(folder: Path, arrays: Arrays) -> Path:
    folder.mkdir()
    for i, array in enumerate(arrays):  # 10 comes after 9
        np.save(folder / f"picture{i}.npy", array)
    return folder


def as_list(folder: Path, arrays: Arrays) -> Path:
    as_folder(folder / "arrays", arrays)
    path = folder / "list.txt"
    path.write_text("".join(f"arrays/picture{i}.npy\n" for i in range(len(arrays))))
    return path


def as_tensors(folder: Path, arrays: Arrays) -> Path:
    safetensors = pytest.importorskip("safetensors.numpy", reason=NEEDS_SAFETENSORS)
    path = folder / "features.safetensors"
    safetensors.save_file({str(i): array for i, array in enumerate(arrays)}, path)
    return path


def as_parquet(folder: Path, arrays: Arrays) -> Path:
    path = folder / "features.parquet"
    columns = {"id": list(range(len(arrays))), "vectors": [array.tolist() for array in arrays]}
    pq.write_table(pa.table(columns), path, row_group_size=5)
    return path


@pytest.mark.parametrize("kind", ["folder", "list", "tensors", "parquet"])
def test_arrays_of_different_numbers_of_regions(kind: str, tmp_path: Path) -> None:
    arrays = ragged(12)
    make = {"folder": lambda: as_folder(tmp_path / "f", arrays)}
    make |= {
        "list": lambda: as_list(tmp_path, arrays),
        "tensors": lambda: as_tensors(tmp_path, arrays),
        "parquet": lambda: as_parquet(tmp_path, arrays),
    }
    features = Features(make[kind](), "features")
    assert (len(features), features.size, features.most_regions) == (12, 3, 3)
    for i, array in enumerate(arrays):
        np.testing.assert_array_equal(features.read(i), array)
    found = features.batch([4, 2])
    np.testing.assert_array_equal(found.values[0, :2], arrays[4])
    np.testing.assert_array_equal(found.values[1], arrays[2])
    assert found.mask.tolist() == [[True, True, False], [True, True, True]]
    assert not found.values[0, 2].any()


@pytest.mark.parametrize("kind", ["npy", "safetensors"])
def test_one_array_of_all_sentences(kind: str, tmp_path: Path) -> None:
    array, path = stacked(5), tmp_path / f"features.{kind}"
    if kind == "npy":
        np.save(path, array.astype(np.float64))
    else:
        safetensors = pytest.importorskip("safetensors.numpy", reason=NEEDS_SAFETENSORS)
        safetensors.save_file({"features": array}, path)
    features = Features(path, "features")
    assert (len(features), features.size, features.most_regions) == (5, 3, 2)
    np.testing.assert_array_equal(features.batch(range(5)).values, array)


def test_a_matrix_has_one_region_per_sentence(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.arange(8, dtype=np.float16).reshape(4, 2))
    assert Features(tmp_path / "f.npy", "f").read(3).tolist() == [[6, 7]]


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, lambda kind: pa.list_(kind, 2)])
@pytest.mark.parametrize("number", [pa.float16(), pa.float64(), pa.int8()])
def test_a_column_of_vectors_has_one_region_per_sentence(
    kind: Callable[[pa.DataType], pa.DataType], number: pa.DataType, tmp_path: Path
) -> None:
    rows = np.arange(8, dtype=number.to_pandas_dtype()).reshape(4, 2)
    vectors = pa.array(list(rows), kind(number))
    other = pa.array([[1], [2], [3], [4]], pa.list_(pa.int8()))
    pq.write_table(pa.table({"other": other, "features": vectors}), tmp_path / "f.parquet")
    features = Features(tmp_path / "f.parquet", "f")
    assert (len(features), features.size, features.most_regions) == (4, 2, 1)
    assert features.select([3]).read(0).tolist() == [[6, 7]]
    assert pickle.loads(pickle.dumps(features)).read(1).tolist() == [[2, 3]]


def test_a_large_file_is_mapped_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "f.npy"
    array = np.lib.format.open_memmap(path, "w+", np.float32, (1 << 20, 49, 512))  # sparse, 98 GiB
    array[1 << 19, 0, 0] = 7
    del array
    assert Features(path, "f").batch([1 << 19]).values[0, 0, 0] == 7


def test_selected_features_survive_pickling_as_the_name_of_their_file(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", stacked(1000))
    chosen = Features(tmp_path / "f.npy", "f").select([7, 3]).select([1, 0])
    message = pickle.dumps(chosen)
    assert len(message) < 2000
    assert pickle.loads(message).batch([0, 1]).values[:, 0, 0].tolist() == [3, 7]


def test_rows_beyond_the_sentences_have_one_region_of_zeros(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", stacked(3))
    found = Features(tmp_path / "f.npy", "f").batch([2], count=3, width=4)
    assert found.values.shape == (3, 4, 3)
    assert found.mask.sum(1).tolist() == [2, 1, 1]
    assert not found.values[1:].any()


def _not_finite(folder: Path) -> Path:
    array = stacked(4)
    array[2, 1, 0] = np.inf
    np.save(folder / "f.npy", array)
    return folder / "f.npy"


def _two_sizes(folder: Path) -> Path:
    return as_folder(folder / "f", [np.zeros((2, 3)), np.zeros((2, 4))])


def _no_region(folder: Path) -> Path:
    return as_folder(folder / "f", [np.zeros((2, 3)), np.zeros((0, 3))])


def _saved(array: np.ndarray) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        np.save(folder / "f.npy", array, allow_pickle=True)
        return folder / "f.npy"

    return save


def _text(folder: Path) -> Path:
    (folder / "f.npy").write_text("no array")
    return folder / "f.npy"


def _empty_folder(folder: Path) -> Path:
    (folder / "f").mkdir()
    return folder / "f"


def _missing_tensor(folder: Path) -> Path:
    safetensors = pytest.importorskip("safetensors.numpy", reason=NEEDS_SAFETENSORS)
    tensors = {name: np.zeros((1, 2), np.float32) for name in ("0", "2")}
    safetensors.save_file(tensors, folder / "f.safetensors")
    return folder / "f.safetensors"


def _columns(**columns: object) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        pq.write_table(pa.table(columns), folder / "f.parquet")
        return folder / "f.parquet"

    return save


def _cut(folder: Path) -> Path:
    np.save(folder / "f.npy", stacked(100))
    whole = (folder / "f.npy").read_bytes()
    (folder / "f.npy").write_bytes(whole[:500])
    return folder / "f.npy"


FAULTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder / "f.npy", "KEY: there is no such file or folder"),
    "format": (lambda folder: _named(folder / "f.pt"), "KEY is not a format of features: give a"),
    "not finite": (_not_finite, "KEY, array 3: region 2 has a value that is not finite"),
    "two sizes": (_two_sizes, r"KEY, array 2 has the shape \[2, 4\]; it must be \[regions, 3\]"),
    "no region": (_no_region, r"KEY, array 2 has the shape \[0, 3\]"),
    "four axes": (_saved(np.zeros((2, 2, 2, 2))), r"KEY has the shape \[2, 2, 2, 2\]; it must be"),
    "empty": (_saved(np.zeros((0, 2, 2))), r"KEY has the shape \[0, 2, 2\]; it must be"),
    "complex": (_saved(np.zeros((1, 2, 2), complex)), "KEY has values of type complex128"),
    "objects": (_saved(np.array([{}, {}])), "KEY cannot be read: "),
    "text": (_text, "KEY cannot be read: "),
    "cut": (_cut, "KEY cannot be read: "),
    "empty folder": (_empty_folder, "KEY is a folder without a .npy file"),
    "no column": (_columns(a=[1, 2]), "KEY has no column with lists of numbers: name the"),
    "two columns": (_columns(a=[[1]], b=[[2]]), r"KEY has several columns \(a, b\) with lists"),
    "no row": (_columns(a=pa.array([], pa.list_(pa.int8()))), "KEY has no row"),
    "uneven": (_columns(a=[[[1.0, 2.0]], [[1.0, 2.0], [1.0]]]), "KEY, array 2 has regions of diff"),
    "null value": (_columns(a=[[[1.0, 2.0]], [[1.0, None]]]), "KEY, array 2 has regions of diff"),
    "null vector": (_columns(a=[[[1.0, 2.0]], [[1.0, 2.0], None]]), "KEY, array 2 has regions of"),
    "null row": (_columns(a=[[[1.0, 2.0]], None]), r"KEY, array 2 has the shape \[0, 0\]; it must"),
    "vectors of two sizes": (
        _columns(a=[[1.0, 2.0], [1.0]]),
        r"KEY, array 2 has the shape \[1, 1\]",
    ),
    "not Parquet": (lambda folder: _named(folder / "f.parquet"), "KEY cannot be read: "),
    "missing tensor": (_missing_tensor, "KEY has no tensor 1: name the tensors 0, 1, 2"),
}


def _named(path: Path) -> Path:
    path.write_text("")
    return path


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_file_is_refused_in_one_line(fault: str, tmp_path: Path) -> None:
    make, message = FAULTS[fault]
    with pytest.raises(UserError, match=message) as refused:
        Features(make(tmp_path), "KEY").check_values()
    assert "\n" not in str(refused.value)


LINES = 60


def corpus(folder: Path, arrays: np.ndarray | None = None, **settings: object) -> PreparedCorpus:
    """Prepare a corpus: line i is the number i, three lines of it are dropped."""
    names = [f"word {chr(97 + i % 26)} {chr(97 + i // 26)} {'x ' * (i % 5)}" for i in range(LINES)]
    lines = ["" if i == 4 else "same" if i in (10, 20) else name for i, name in enumerate(names)]
    for side in ("en", "de"):
        (folder / f"train.{side}").write_text("".join(f"{line}\n" for line in lines))
        (folder / f"valid.{side}").write_text("a b\nc\n")
    np.save(folder / "train.npy", stacked(LINES) if arrays is None else arrays)
    np.save(folder / "valid.npy", stacked(2))
    files = {
        split: SourceConfig(source=f"{folder}/{split}.en", target=f"{folder}/{split}.de")
        for split in ("train", "valid")
    }
    data = FilesDataConfig(
        source_language="en",
        target_language="de",
        **files,
        test=None,
        features=FeatureFiles(train=f"{folder}/train.npy", valid=f"{folder}/valid.npy"),
        cache_dir=str(folder / "cache"),
        workers=1,
    )
    data.filters.duplicates = "exact"
    return prepare(data, TokenizerConfig(name="char", joint=True), PreparationReporter(data))


def test_features_belong_to_the_pairs_that_remain_also_from_the_cache(tmp_path: Path) -> None:
    kept = [i for i in range(LINES) if i not in (4, 20)]
    for _ in range(2):
        prepared = corpus(tmp_path)
        assert prepared.train.features is not None
        found = prepared.train.features.batch(range(len(kept))).values[:, 0, 0]
        assert found.tolist() == kept
    assert prepared.from_cache
    assert prepared.text.valid.features is not None


@pytest.mark.parametrize("kind", [UpdateBatches, BucketedBatches])
@pytest.mark.parametrize("workers", [0, 1])
def test_every_pair_of_an_epoch_has_its_own_features(
    kind: type[UpdateBatches], workers: int, tmp_path: Path
) -> None:
    prepared = corpus(tmp_path)
    train, tokenizer = prepared.train, prepared.tokenizers.source
    lines = (tmp_path / "train.en").read_text().split("\n")
    seen = 0
    with UpdateLoader(kind(train, 64, 1, 3), workers=workers) as loader:
        for batches, state in loader:
            for batch in batches:
                assert batch.regions is not None
                assert len(batch.regions.values) == len(batch.source_ids)
                for ids, mask, values in zip(
                    batch.source_ids, batch.source_mask, batch.regions.values, strict=True
                ):
                    text = tokenizer.decode(ids[mask].tolist()[:-1])
                    if text:  # not a row that fills the shape
                        assert text == lines[int(values[0, 0])].strip()
                        seen += 1
            if state.epoch == 1:
                break
    assert seen == len(train)


def test_a_batch_of_a_split_has_its_features(tmp_path: Path) -> None:
    batch = collate_pairs(corpus(tmp_path).train, np.array([5, 0]))
    assert batch.regions is not None
    assert batch.regions.values[:, 0, 0].tolist() == [6, 0]


def test_another_number_of_arrays_than_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train.npy has 59 arrays, but the training text has 60"):
        corpus(tmp_path, stacked(LINES - 1))


def test_a_faulty_array_is_refused_before_training(tmp_path: Path) -> None:
    arrays = stacked(LINES)
    arrays[50, 0, 2] = np.nan
    with pytest.raises(UserError, match="train.npy, array 51: region 1 has a value that is not"):
        corpus(tmp_path, arrays)


def test_other_features_make_another_entry_of_the_cache(tmp_path: Path) -> None:
    first = corpus(tmp_path).folder
    assert corpus(tmp_path, stacked(LINES) + 1).folder != first


@pytest.mark.parametrize("separate", [False, True])
def test_bfloat16_is_read(separate: bool, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason=NEEDS_SAFETENSORS)
    array = torch.arange(24.0).view(4, 3, 2).bfloat16() / 3
    tensors = {str(i): one.clone() for i, one in enumerate(array)} if separate else {"x": array}
    safetensors.save_file(tensors, tmp_path / "f.safetensors")
    features = Features(tmp_path / "f.safetensors", "features")
    np.testing.assert_array_equal(features.batch(range(4)).values, array.float().numpy())


def test_values_that_are_no_numbers_are_refused_in_tensors(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason=NEEDS_SAFETENSORS)
    safetensors.save_file({"x": torch.ones(2, 3, 4) > 0}, tmp_path / "f.safetensors")
    with pytest.raises(UserError, match="tensor x has values of type BOOL; features are real num"):
        Features(tmp_path / "f.safetensors", "features")


@pytest.mark.filterwarnings("error")
def test_a_value_that_is_too_large_for_float32_gives_no_warning(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.full((1, 2, 3), 1e300))
    with pytest.raises(UserError, match="array 1: region 1 has a value that is not finite"):
        Features(tmp_path / "f.npy", "features").read(0)
