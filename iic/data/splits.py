"""The usual names of splits of a data set."""

import re
from typing import Literal, get_args

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

_WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "eval"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "t10k"), "test"),
}
# What may follow the word: trainingSet, test_images.
_ENDING = re.compile(r"(set|split|data|images|imgs|folder|dir)$")


def split_of(name: str) -> Split | None:
    """Return the split that a name means, such as "trainingSet"; None for another name."""
    word = re.sub(r"[\W_]+", "", name.lower())
    return _WORDS.get(word) or _WORDS.get(_ENDING.sub("", word))


def splits_in(name: str) -> list[Split]:
    """Return the splits that words of a name mean, such as "emnist-digits-test-images"."""
    words = re.split(r"[\W_]+", name)
    return list(dict.fromkeys(split for word in words if (split := split_of(word))))
