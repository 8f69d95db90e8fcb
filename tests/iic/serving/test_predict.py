"""`iic predict` assigns images to the same clusters as the pipeline."""

import csv
import gzip
import json
import logging
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import environment
from PIL import Image

from iic.cli.main import cli, main
from iic.core.errors import InputError
from iic.core.files import read_arrays
from iic.core.sampling import evenly


@pytest.fixture(scope="module")
def files(pipeline_run, tmp_path_factory) -> Path:
    """The first 40 test images as files: white on black, and black on white in twice the size."""
    folder = tmp_path_factory.mktemp("files")
    images = read_arrays(pipeline_run / "data/images.npz", ["test_images"])["test_images"][:40]
    for name in ("light", "dark"):
        (folder / name).mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"light/{number:02d}.png")
        large = Image.fromarray(255 - image).resize((56, 56), Image.Resampling.NEAREST)
        large.save(folder / f"dark/{number:02d}.png")
    return folder


def predict(pipeline_run: Path, *arguments: object) -> None:
    model = ["--model", str(pipeline_run / "model")]
    cli.main(["predict", *model, *map(str, arguments)], standalone_mode=False)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def assigned(pipeline_run: Path, split: str) -> list[dict[str, str]]:
    table = rows((pipeline_run / "reports/assignments.csv").read_text())
    return [row for row in table if row["split"] == split]


def test_predictions_equal_those_of_the_pipeline(pipeline_run, tmp_path, capsys):
    out = tmp_path / "new/out.csv"
    predict(pipeline_run, pipeline_run / "data/images.npz", "--out", out)
    found = rows(out.read_text())
    expected = [*assigned(pipeline_run, "train"), *assigned(pipeline_run, "test")]
    names = ("cluster", "overcluster")
    assert [[row[n] for n in names] for row in found] == [[r[n] for n in names] for r in expected]
    for row, other in zip(found, expected, strict=True):
        assert float(row["probability"]) == pytest.approx(float(other["probability"]), rel=1e-5)
    assert found[-1]["path"].endswith("images.npz#test_images[359]")
    predicted = rows((pipeline_run / "reports/predictions.csv").read_text())
    assert [row["label"] for row in found[-360:]] == [row["predicted"] for row in predicted]
    output = capsys.readouterr()
    assert output.out == ""
    assert "test_images: 360 images, light ink on dark paper, by the borders" in output.err


def test_light_and_dark_paper_are_detected(pipeline_run, files, capsys):
    expected = assigned(pipeline_run, "test")[:40]
    for name, kind in (("light", "light ink on dark"), ("dark", "dark ink on light")):
        predict(pipeline_run, files / name)
        output = capsys.readouterr()
        found = rows(output.out)
        assert [row["path"] for row in found] == [str(p) for p in sorted((files / name).iterdir())]
        assert f"{name}: 40 images, {kind} paper, by the borders" in output.err
        same = [
            row["cluster"] == other["cluster"] for row, other in zip(found, expected, strict=True)
        ]
        # Doubling the size and scaling back gives the same image.
        assert all(same)
    predict(pipeline_run, files / "dark", "--ink", "light")
    output = capsys.readouterr()
    assert "light ink on dark paper, as given" in output.err


def test_single_files_keep_their_order(pipeline_run, files, capsys):
    chosen = [files / "light/03.png", files / "light/01.png"]
    predict(pipeline_run, *chosen)
    output = capsys.readouterr()
    expected = assigned(pipeline_run, "test")
    assert [(row["path"], row["cluster"]) for row in rows(output.out)] == [
        (str(chosen[0]), expected[3]["cluster"]),
        (str(chosen[1]), expected[1]["cluster"]),
    ]
    assert "2 files: 2 images" in output.err


def test_output_as_json_lines(pipeline_run, files, tmp_path):
    predict(pipeline_run, files / "light", "--out", tmp_path / "out.jsonl")
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    expected = assigned(pipeline_run, "test")
    assert list(found[0]) == ["path", "cluster", "overcluster", "probability", "label"]
    assert [row["overcluster"] for row in found] == [int(r["overcluster"]) for r in expected[:40]]
    assert all(0 < row["probability"] <= 1 for row in found)


def test_without_a_card_there_are_no_labels(pipeline_run, files, tmp_path, capsys):
    (tmp_path / "model").symlink_to(pipeline_run / "model")
    cli.main(
        ["predict", "--model", str(tmp_path / "model"), str(files / "light/00.png")],
        standalone_mode=False,
    )
    output = capsys.readouterr()
    assert "model-card.json: not found, so clusters have no names; size fit and ink" in output.err
    (row,) = rows(output.out)
    assert list(row) == ["path", "cluster", "overcluster", "probability"]
    assert row["cluster"] == assigned(pipeline_run, "test")[0]["cluster"]


def test_a_card_of_other_weights_is_refused(pipeline_run, files, tmp_path):
    shutil.copytree(pipeline_run / "model", tmp_path / "model")
    card = json.loads((pipeline_run / "model-card.json").read_text())
    card["weights_sha256"] = "0" * 64
    (tmp_path / "model-card.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="describes other weights than those in"):
        cli.main(
            ["predict", "--model", str(tmp_path / "model"), str(files / "light")],
            standalone_mode=False,
        )


def test_a_card_of_fewer_clusters_is_refused(pipeline_run, files, tmp_path):
    shutil.copytree(pipeline_run / "model", tmp_path / "model")
    card = json.loads((pipeline_run / "model-card.json").read_text())
    card["clusters"].pop()
    (tmp_path / "model-card.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match=r"the model's card names 9 clusters, the network has 10"):
        cli.main(
            ["predict", "--model", str(tmp_path / "model"), str(files / "light")],
            standalone_mode=False,
        )


def test_a_broken_file_stops_the_command_and_writes_nothing(pipeline_run, files, tmp_path, capsys):
    good, bad = files / "light/00.png", tmp_path / "bad.png"
    bad.write_bytes(b"broken")
    with pytest.raises(InputError, match=r"bad\.png: not a PNG"):
        predict(pipeline_run, good, bad, "--out", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    predict(pipeline_run, bad, good, "--skip-broken")
    said = capsys.readouterr()
    assert [row["path"] for row in rows(said.out)] == [str(good)]
    assert "1 of 2 images skipped" in said.err
    assert "bad.png" in said.err


def test_batches_keep_the_order_of_the_images(pipeline_run, files, monkeypatch, capsys):
    monkeypatch.setattr("iic.data.images.batch_size_of", lambda _: 7)
    predict(pipeline_run, files / "light")
    found = rows(capsys.readouterr().out)
    expected = assigned(pipeline_run, "test")[:40]
    assert [row["cluster"] for row in found] == [row["cluster"] for row in expected]


def test_single_files_are_skipped_as_those_of_a_folder(pipeline_run, files, tmp_path, capsys):
    good = shutil.copy(files / "light/00.png", tmp_path / "0.png")
    (tmp_path / "1.png").symlink_to("/nowhere.png")
    (tmp_path / "2.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500))
    os.mkfifo(tmp_path / "3.png")
    Image.fromarray(np.full((28, 28), np.nan, np.float32)).save(tmp_path / "4.tif")
    for path in sorted(tmp_path.iterdir())[1:]:
        with pytest.raises(InputError, match=path.name):
            predict(pipeline_run, good, path)
    capsys.readouterr()
    found, messages = said(pipeline_run, capsys, *sorted(tmp_path.iterdir()), "--skip-broken")
    assert [row["path"] for row in found] == [str(good)]
    assert "5 files: 5 images" in messages
    assert "4 of 5 images skipped" in messages
    for reason in ("1.png: a broken link", "HEIC", "3.png: not a plain file", "4.tif: values must"):
        assert reason in messages


def _table(folder: Path) -> tuple[Path, Path]:
    (folder / "x.csv").write_text("path,label\n0.png,7\n")
    return folder / "x.csv", folder / "x.csv"


def _link_to_a_table(folder: Path) -> tuple[Path, Path]:
    (folder / "link.csv").symlink_to(_table(folder)[0])
    return folder / "x.csv", folder / "link.csv"


def _picture_in_a_folder(folder: Path) -> tuple[Path, Path]:
    Image.new("L", (28, 28)).save(folder / "x.csv", format="PNG")
    return folder, folder / "x.csv"


def _picture_of_a_table(folder: Path) -> tuple[Path, Path]:
    Image.new("L", (28, 28)).save(folder / "0.png", format="PNG")
    (folder / "out.csv").hardlink_to(folder / "0.png")
    return _table(folder)[0], folder / "out.csv"


def _arrays_in_a_folder(folder: Path) -> tuple[Path, Path]:
    write_idx(folder / "x.csv", np.zeros((2, 28, 28), np.uint8))
    return folder, folder / "x.csv"


@pytest.mark.parametrize(
    "make",
    [_table, _link_to_a_table, _picture_in_a_folder, _picture_of_a_table, _arrays_in_a_folder],
)
def test_what_is_read_is_never_replaced(tmp_path, monkeypatch, make):
    """Neither the model nor the images have been read then."""
    given, out = make(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    words = ["predict", "--model", str(tmp_path / "none"), str(given), "--out", str(out)]
    with pytest.raises(InputError, match=f"--out {out}: would replace .*; choose another name"):
        cli.main(words, standalone_mode=False)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_older_result_is_replaced(pipeline_run, files, tmp_path):
    for name in ("out.csv", "out.jsonl"):
        folder = shutil.copytree(files / "light", tmp_path / name.replace(".", "-"))
        (folder / name).write_text("old")
        predict(pipeline_run, folder, "--out", folder / name)
        assert "00.png" in (folder / name).read_text()


@pytest.mark.parametrize("name", ["\x1b[2J.png", "caf\udce9.png", "a\nb.npz"])
def test_a_name_that_cannot_be_written_to_a_table_is_refused(
    pipeline_run, tmp_path, monkeypatch, name
):
    monkeypatch.chdir(pipeline_run)
    (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr(sys, "argv", ["iic", "predict", str(tmp_path / name)])
    with pytest.raises(SystemExit) as stopped:
        main()
    message = str(stopped.value.code)
    assert message.isprintable()
    assert message.endswith(": the name is not UTF-8 or contains control characters; rename it")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "nowhere.png"], "error: nowhere.png: not found"),
        (["predict", "params.yaml"], "error: params.yaml: text, which is not read"),
        (["predict", "data/labels.npz"], "error: data/labels.npz: contains the arrays"),
        (["predict", "data/images.npz", "--model", "none"], "error: none/model.json: not found"),
        (["predict", "data/images.npz", "--out", "x.txt"], "a name that ends in .csv or .jsonl"),
        (
            ["predict", "data/images.npz", "--max-images", "100"],
            "train_images: 1,437 entries, 100 are allowed (--max-images)",
        ),
        (["predict"], "Missing argument 'IMAGES"),
    ],
)
def test_mistakes_of_users_are_reported_on_one_line(
    pipeline_run, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(pipeline_run)
    monkeypatch.setattr(sys, "argv", ["iic", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    # Python prints a message that is not a number, and exits with status 1.
    code = stopped.value.code
    assert code != 0
    printed = capsys.readouterr().err + ("" if isinstance(code, int) else code)
    assert message in printed
    assert printed.count("rror: ") == 1


def test_a_closed_pipe_is_not_an_error(pipeline_run):
    code = "from iic.cli.main import main; main()"
    line = f"{sys.executable} -c '{code}' predict data/images.npz 2>errors | head -n 2"
    done = subprocess.run(
        ["bash", "-c", line], cwd=pipeline_run, env=environment(), capture_output=True, text=True
    )
    errors = (pipeline_run / "errors").read_text()
    (pipeline_run / "errors").unlink()
    assert len(done.stdout.splitlines()) == 2
    assert "rror" not in errors


def test_a_closed_standard_output_is_not_an_error(pipeline_run):
    code = "from iic.cli.main import main; main()"
    line = f"{sys.executable} -c '{code}' predict data/images.npz >&-"
    done = subprocess.run(
        ["bash", "-c", line], cwd=pipeline_run, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_only_a_few_batches_are_read_ahead(pipeline_run):
    from iic.core.appearance import Appearance
    from iic.core.shapes import GREY_SHAPE, batch_size_of
    from iic.data.images import Reading

    size = batch_size_of(GREY_SHAPE)
    from iic.data.pictures import Picture
    from iic.model.assignments import Assignments
    from iic.serving.predict import predict_source

    class Endless:
        title = "endless"
        names = range(100 * size)
        threads = 1
        most = 0

        def read(self, index):
            self.most = max(self.most, index)
            return Picture(np.zeros((28, 28), np.uint8))

    def assign(images):
        return Assignments(np.ones((len(images), 2)), np.ones((len(images), 3)))

    source = Endless()
    light = Appearance(ranges={"bytes": (0, 255)}, ink="light")
    batches = predict_source(assign, source, light, Reading(), lambda _: None)
    assert next(batches).indices == list(range(size))
    assert source.most < 30 * size


def test_few_images_need_no_tensorflow_and_get_the_same_clusters(
    pipeline_run, files, capsys, monkeypatch
):
    from iic.serving import predict as serving

    predict(pipeline_run, files / "light")
    few = rows(capsys.readouterr().out)
    monkeypatch.setattr(serving, "FEW", 0)
    predict(pipeline_run, files / "light")
    many = rows(capsys.readouterr().out)
    for row, other in zip(few, many, strict=True):
        assert float(row.pop("probability")) == pytest.approx(
            float(other.pop("probability")), rel=1e-4
        )
        assert row == other
    code = (
        "import sys\n"
        "from iic.cli.main import cli\n"
        "cli.main(sys.argv[1:], standalone_mode=False)\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    words = ["predict", "--model", str(pipeline_run / "model"), str(files / "light/00.png")]
    done = subprocess.run([sys.executable, "-c", code, *words], env=environment(), check=False)
    assert done.returncode == 0


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">I{array.ndim}I", 8 << 8 | array.ndim, *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def said(pipeline_run: Path, capsys, *arguments: object) -> tuple[list[dict[str, str]], str]:
    """Return the rows and the messages of `iic predict`."""
    shown = logging.StreamHandler()
    logging.getLogger("iic").addHandler(shown)
    predict(pipeline_run, *arguments)
    logging.getLogger("iic").removeHandler(shown)
    output = capsys.readouterr()
    return rows(output.out), output.err


def test_all_splits_and_any_labels_are_read(pipeline_run, digits, tmp_path, capsys):
    x, y = digits.train_images, digits.train_labels
    for split, some in (("train", slice(20)), ("test", slice(20, 30))):
        write_idx(tmp_path / f"emnist/emnist-digits-{split}-images-idx3-ubyte.gz", x[some])
        write_idx(tmp_path / f"emnist/emnist-digits-{split}-labels-idx1-ubyte.gz", y[some])
    assert len(said(pipeline_run, capsys, tmp_path / "emnist")[0]) == 30
    np.savez(tmp_path / "val.npz", x_train=x[:12], x_val=x[12:15], x_test=x[15:21])
    found, messages = said(pipeline_run, capsys, tmp_path / "val.npz")
    assert [row["path"].split("#")[1] for row in found[11:16]] == [
        *("x_train[11]", "x_val[0]", "x_val[1]", "x_val[2]", "x_test[0]")
    ]
    # Labels are not needed, so that not even pickled ones matter.
    np.savez(tmp_path / "o.npz", images=x[:10], labels=y[:10].astype(object), more=x[10:13])
    found, messages = said(pipeline_run, capsys, tmp_path / "o.npz")
    assert len(found) == 10
    assert "arrays that are not read: more (3, 28, 28)" in messages


@pytest.mark.parametrize(
    ("convert", "warning"),
    [
        (lambda x: x / 255 * 1.0000002, ""),
        (lambda x: x / 255 * 16, "warning: values range from 0 to 16; scaled so that"),
        (lambda x: x.astype(np.uint16) * 16, "warning: values range from 0 to 4080; scaled"),
        (lambda x: (x[:, None] / 127.5) - 1, "warning: values range from -1 to 1; scaled"),
        (lambda x: x.reshape(-1, 784).astype(np.float32), ""),
    ],
)
def test_values_of_any_range_get_the_same_clusters(
    pipeline_run, digits, tmp_path, capsys, convert, warning
):
    images = digits.test_images[:20]
    np.save(tmp_path / "bytes.npy", images)
    np.save(tmp_path / "other.npy", convert(images))
    expected, _ = said(pipeline_run, capsys, tmp_path / "bytes.npy")
    found, messages = said(pipeline_run, capsys, tmp_path / "other.npy")
    assert [row["cluster"] for row in found] == [row["cluster"] for row in expected]
    assert warning in messages
    assert bool(warning) == ("values range" in messages)


def test_files_of_phones_and_tiny_digits(pipeline_run, digits, tmp_path, capsys):
    for number, image in enumerate(digits.test_images[:10]):
        page = np.full((280, 400), 255, np.uint8)
        page[100:128, 180:208] -= image
        photo = Image.fromarray(page).convert("RGB")
        more = {"format": "MPO", "save_all": True, "append_images": [photo.resize((40, 28))]}
        photo.save(tmp_path / f"{number}.jpg", **(more if number % 2 else {}))
    found, messages = said(pipeline_run, capsys, tmp_path)
    assert len(found) == 10
    assert "warning: 10 of 10 images are tiny: ink fills" in messages
    assert "--size crop" in messages
    _, messages = said(pipeline_run, capsys, tmp_path, "--size", "crop")
    assert "are tiny" not in messages


def test_images_unlike_those_of_training_are_named(pipeline_run, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.zeros((20, 28, 28), np.uint8))
    _, messages = said(pipeline_run, capsys, tmp_path / "x.npy", "--ink", "light")
    assert "warning: 20 of 20 images are blank" in messages
    assert "20 of 20 images are in cluster" in messages


@pytest.mark.parametrize("setting", ["auto", "light"])
def test_ink_of_the_training_is_compared_with_the_borders(
    pipeline_run, files, tmp_path, capsys, setting
):
    shutil.copytree(pipeline_run / "model", tmp_path / "model")
    card = json.loads((pipeline_run / "model-card.json").read_text())
    card["ink"] = setting
    card["appearance"] = {"ranges": {"bytes": [0, 255]}, "ink": "light"}
    (tmp_path / "model-card.json").write_text(json.dumps(card))
    _, messages = said(tmp_path, capsys, files / "dark")
    assert "light ink on dark paper, as in training" in messages
    assert "40 of 40 images have a border of ink, unlike the training set" in messages
    _, messages = said(tmp_path, capsys, files / "dark", "--ink", "light")
    assert "light ink on dark paper, as given" in messages
    assert "border of ink" not in messages


def test_without_a_known_look_the_order_of_images_does_not_decide(
    pipeline_run, digits, tmp_path, capsys
):
    images = digits.train_images[:400].copy()
    every_second = evenly(400, 200)
    images[every_second] = 255 - images[every_second]
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "y.npy", images[::-1])
    found = [
        messages.partition("400 images, ")[2].partition("\n")[0]
        for name in ("x.npy", "y.npy")
        for _, messages in [said(pipeline_run, capsys, tmp_path / name)]
    ]
    assert found[0] == found[1]
    assert "by the borders, " in found[0]
    assert "200 of 200" not in found[0]


def test_left_out_files_and_broken_links_are_named(pipeline_run, files, tmp_path, capsys):
    shutil.copytree(files / "light", tmp_path / "x")
    (tmp_path / "x/a.txt").write_text("hello")
    (tmp_path / "x/b.png").symlink_to("/nowhere.png")
    with pytest.raises(InputError, match="1 broken link: b.png → /nowhere.png; .*--skip-broken"):
        predict(pipeline_run, tmp_path / "x")
    found, messages = said(pipeline_run, capsys, tmp_path / "x", "--skip-broken")
    assert len(found) == 40
    assert "1 broken link" in messages
    assert "1 of 41 files left out: 1 .txt" in messages
