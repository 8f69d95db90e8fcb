"""The usual names of splits of a data set."""

import re
from collections.abc import Sequence
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


def splits_of(names: Sequence[str]) -> dict[str, Split]:
    """Return the split that each of some names means, such as "mnist_train" and "mnist_test".

    Names of more words count only if they are the same but for the split and numbers: "train
    station" and "test tube" are no splits.
    """
    found = {name: split for name in names if (split := split_of(name))}
    if found:
        return found
    words = {name: [word for word in re.split(r"[\W_\d]+", name) if word] for name in names}
    longer = {name: split for name in names if (split := _only_split(words[name]))}
    others = {tuple(w.lower() for w in words[name] if not split_of(w)) for name in longer}
    are_alike = len(others) == 1 and len(set(longer.values())) == len(longer) > 1
    return longer if are_alike else {}


def _only_split(words: Sequence[str]) -> Split | None:
    splits = {split for word in words if (split := split_of(word))}
    return splits.pop() if len(splits) == 1 else None


def splits_in(name: str) -> list[Split]:
    """Return the splits that words of a name mean, such as "emnist-digits-test-images"."""
    words = re.split(r"[\W_]+", name)
    return list(dict.fromkeys(split for word in words if (split := split_of(word))))
