"""Tables that Git may merge: every row is checked when they are read."""

import re

import pytest

from iic.core.errors import InputError
from iic.experiments.rows import number_in, seed_in, stored_rows

TABLE = "recipe,seed,acc\nr,0,0.5\nr,1,0.25\n"
CONFLICT = "recipe,seed,acc\n<<<<<<< HEAD\nr,0,0.5\n=======\nr,0,0.25\n>>>>>>> theirs\n"


def test_rows_are_read_by_column(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(TABLE + "\n")
    assert stored_rows(path, "iic seeds") == [
        {"recipe": "r", "seed": "0", "acc": "0.5"},
        {"recipe": "r", "seed": "1", "acc": "0.25"},
    ]
    path.write_text("recipe,seed,acc\n")
    assert stored_rows(path, "iic seeds") == []


def test_a_missing_table_is_named_with_its_command(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: not found; run `iic seeds`$"):
        stored_rows(tmp_path / "none.csv", "iic seeds")


@pytest.mark.parametrize(
    "content",
    [
        CONFLICT.encode(),
        f"<<<<<<< HEAD\n{TABLE}".encode(),
        TABLE.encode()[:-6],
        TABLE.replace("0.25", "0.25,7").encode(),
        TABLE.replace("acc", "seed").encode(),
        TABLE.encode() + b"\xff\n",
        b'recipe,seed,acc\n"' + b"x" * 200_000 + b'",0,0.5\n',
        b"",
    ],
)
def test_a_damaged_table_is_one_line_with_its_remedy(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: .*`git restore .*`$"):
        stored_rows(path, "iic seeds")


@pytest.mark.parametrize("row", [{}, {"seed": "0.5"}, {"seed": ""}, {"seed": "nan"}])
def test_a_seed_is_a_whole_number(tmp_path, row):
    assert seed_in({"seed": "7"}, tmp_path) == 7
    with pytest.raises(InputError, match="damaged"):
        seed_in(row, tmp_path)


def test_a_text_is_no_number(tmp_path):
    assert number_in("-3.2e-05", tmp_path) == -3.2e-05
    with pytest.raises(InputError, match="damaged"):
        number_in("much", tmp_path)
