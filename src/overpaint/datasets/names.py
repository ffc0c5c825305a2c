r"""Names as people write them: of classes and groups, and of splits.

>>> clean("  Art\u00a0 Nouveau ")
'Art Nouveau'
>>> split_names(["Training", "Validation", "TEST", "sketches"])
{'Training': 'train', 'Validation': 'val', 'TEST': 'test', 'sketches': ''}
"""

import os
import re
import unicodedata
from collections.abc import Iterable
from unicodedata import combining, normalize

NAMES = {
    "train": "train training trn learn learning entrainement apprentissage entrenamiento "
    "addestramento treino treinamento",
    "val": "val valid validate validation validating validierung validacion validazione validacao "
    "validatie dev devel development",
    "test": "test tests testing tst holdout prueba pruebas teste testes",
    "eval": "eval evaluation evaluate",
}
"""Words for the splits, without accents, in lower case; `eval` is val or test."""

SPLIT_WORDS = {word: split for split, words in NAMES.items() for word in words.split()}

FILLERS = frozenset(
    {"set", "sets", "split", "splits", "subset", "data", "dataset", "images", "image", "imgs",
     "img", "pictures", "picture", "pics", "photos", "folder", "samples", "partition"}
)  # fmt: skip
"""What may stand beside such a word: `train_set`, `Test images`."""


def clean(text: str) -> str:
    """A name without blanks around it, in Unicode's composed form; inside, one blank at a time."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


LIGATURES = str.maketrans(
    {"Œ": "OE", "œ": "oe", "Æ": "AE", "æ": "ae", "ß": "ss", "Ø": "O", "ø": "o", "Ł": "L", "ł": "l"}
)
"""Letters that Unicode does not take apart."""


def as_name(text: str) -> str:
    """A text as names of a study are written; letters lose their accents and are not lost.

    >>> as_name("My pictures (2)"), as_name("Œuvres d'été à moi")
    ('My_pictures_2', 'OEuvres_d_ete_a_moi')
    """
    parted = normalize("NFKD", text.translate(LIGATURES))
    plain = "".join(letter for letter in parted if not combining(letter))
    return re.sub(r"[^A-Za-z0-9-]+", "_", plain).strip("_-")[:100] or "pictures"


def legible(name: str) -> str:
    r"""A file's name for a message: bytes that are not UTF-8 are escaped.

    >>> legible("caf\udce9")
    'caf\\xe9'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def split_names(names: Iterable[str]) -> dict[str, str]:
    """What each of the names that stand side by side means: train, val, test, or "" for none.

    >>> split_names(["1_train_set", "2_dev", "3_eval"])
    {'1_train_set': 'train', '2_dev': 'val', '3_eval': 'test'}
    >>> split_names(["pets_train", "pets_test"])
    {'pets_train': 'train', 'pets_test': 'test'}

    What all of several names have in common says nothing. `eval` is the test where something else
    is val and nothing else the test, and val otherwise.
    """
    words = {name: _words(name) for name in names}
    shared = set.intersection(*map(set, words.values())) if len(words) > 1 else set()
    splits: dict[str, str] = {}
    for silent in (shared | FILLERS, FILLERS):
        for name, all_words in words.items():
            telling = [word for word in all_words if word not in silent]
            splits[name] = SPLIT_WORDS.get(telling[0], "") if len(telling) == 1 else ""
        if any(splits.values()):
            break
    values = set(splits.values())
    meaning = "test" if "val" in values and "test" not in values else "val"
    return {name: meaning if split == "eval" else split for name, split in splits.items()}


def split_within(name: str) -> tuple[str, str]:
    """The split that a part of a name means, and the rest of the name.

    >>> split_within("train_cat"), split_within("testA"), split_within("cat")
    (('train', 'cat'), ('test', 'a'), ('', 'cat'))
    """
    words = _words(re.sub(r"([a-z])(?=[A-Z])", r"\1 ", name))
    splits = [word for word in words if word in SPLIT_WORDS]
    rest = " ".join(word for word in words if word not in splits)
    return (SPLIT_WORDS[splits[0]] if splits else ""), rest


def _words(name: str) -> list[str]:
    """The words of a name, without accents, numbers and endings such as in `trainset2`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z]+", re.sub(r"hold[\W_]out", "holdout", plain))
    glued = (re.fullmatch(r"(.+?)(set|split|data|dataset|images|imgs)", word) for word in words)
    return [
        match.group(1) if match and match.group(1) in SPLIT_WORDS else word
        for word, match in zip(words, glued, strict=True)
    ]
