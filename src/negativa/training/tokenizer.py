"""Terrarium's tokenizer: CLIP's byte-pair encoding with a vocabulary learned from the captions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import models, pre_tokenizers, trainers
from torch import Tensor
from transformers import CLIPTokenizer

from negativa.language.files import output_folder

MERGES = 480
LENGTH = 77


def learn(captions: Iterable[str]) -> CLIPTokenizer:
    """A tokenizer whose frequent words are one token; any other text still falls into known pieces."""
    blank = CLIPTokenizer()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner = blank.backend_tokenizer
    learner.model = models.BPE(end_of_word_suffix="</w>")
    trainer = trainers.BpeTrainer(
        vocab_size=2 * len(alphabet) + MERGES, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    learner.train_from_iterator(captions, trainer)
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    words = [*alphabet, *(letter + "</w>" for letter in alphabet)]
    words += [joined for joined in dict.fromkeys(a + b for a, b in merges) if joined not in words]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=merges, model_max_length=LENGTH)


def learned(captions: Iterable[str], kept: Path) -> CLIPTokenizer:
    """The tokenizer in the folder `kept`, learned now if there is none; its numbers are what the text encoder knows."""
    if not kept.exists():
        words = learn(captions)
        with output_folder("folder", kept) as part:
            words.save_pretrained(part)
            words.backend_tokenizer.model.save(str(part))  # vocab.json and merges.txt, for older readers
    return CLIPTokenizer.from_pretrained(kept)


def tokens(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """Captions as rows of 77 token numbers."""
    return tokenizer(captions, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt").input_ids
