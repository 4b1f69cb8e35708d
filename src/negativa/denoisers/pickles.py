"""Reads pickles without running anything in them.

A pickle is a program for a small stack machine. Its instructions are decoded by the standard library's disassembler and
interpreted here, where nothing is imported and nothing called: a name is looked up in a list of known ones, and a call to
it builds a dictionary or describes a tensor.
"""

from __future__ import annotations

import io
import pickletools
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from negativa.errors import InputError

LONGEST: Final = 100_000  # instructions; an embedding has about a hundred, an adapter thirty for each of a thousand tensors
STORAGES: Final = {
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch DoubleStorage": torch.float64,
    "torch LongStorage": torch.int64,  # numbers of tokens, beside the vectors
}
TABLES: Final = ("collections OrderedDict", "torch.nn.modules.container ParameterDict")
TENSORS: Final = ("torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2")
SETS: Final = ("__builtin__ set", "builtins set")  # an empty one is in every module
PARAMETER: Final = "torch._utils _rebuild_parameter"
KNOWN: Final = (*STORAGES, *TABLES, *TENSORS, *SETS, PARAMETER)
MARK: Final = object()


@dataclass(frozen=True)
class Name:
    """A function or class that the pickle names: module and name, never looked up."""

    text: str


@dataclass(frozen=True)
class Storage:
    """Where numbers of one kind lie in the file."""

    key: str
    kind: torch.dtype


@dataclass(frozen=True)
class Described:
    """A tensor before its numbers are read."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass
class Machine:
    """The stack machine of a pickle, without its power to import and call."""

    kinds: dict[str, torch.dtype]
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def marked(self) -> list[Any]:
        """Take what lies above the last mark, and the mark."""
        place = next(i for i in range(len(self.stack) - 1, -1, -1) if self.stack[i] is MARK)
        taken = self.stack[place + 1 :]
        del self.stack[place:]
        return taken

    def put(self, pairs: list[Any]) -> None:
        """Into the table on top of the stack."""
        table = self.stack[-1]
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(table, dict) or not isinstance(key, (str, int)):
                raise InputError("has a table whose keys are neither text nor numbers")
            table[key] = value

    def call(self, name: object, arguments: object) -> Any:
        """What a call of `name` would build, described; calls nothing."""
        match name, arguments:
            case Name(text), () if text in TABLES:
                return {}
            case Name(text), (Storage() as storage, offset, tuple(shape), tuple(stride), *_) if text in TENSORS:
                return Described(storage, offset, shape, stride)
            case Name(text), (list(values),) if text in SETS:
                return values
            case Name(text), (Described() as described, *_) if text == PARAMETER:
                return described
        raise InputError(f"calls {name.text if isinstance(name, Name) else 'something'} in a way that builds no tensor")

    def stored(self, place: object) -> Any:
        """What a reference out of the pickle means: a storage of numbers, or (in old files) a class with its source."""
        match place:
            case ("module", Name() as name, *_):
                return name
            case ("storage", Name(text), str(key), *_) if text in STORAGES:
                self.kinds[key] = STORAGES[text]
                return Storage(key, STORAGES[text])
        raise InputError("refers to something other than stored numbers")


def interpret(stream: io.BytesIO, kinds: dict[str, torch.dtype] | None = None) -> Any:
    """The value of one pickle, its tensors described; `kinds` is filled with the kind of each storage."""
    machine = Machine({} if kinds is None else kinds)
    for i, (operation, argument, _) in enumerate(pickletools.genops(stream)):
        if i > LONGEST:
            raise InputError(f"has more than {LONGEST} instructions, which no file of tensors needs")
        if operation.name == "STOP":
            break
        _step(machine, operation.name, argument)
    return machine.stack.pop()


def _step(machine: Machine, operation: str, argument: Any) -> None:
    """Carry out one instruction."""
    stack = machine.stack
    match operation:
        case "PROTO" | "FRAME":
            pass
        case "MARK":
            stack.append(MARK)
        case "NONE" | "NEWTRUE" | "NEWFALSE":
            stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[operation])
        case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
            stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[operation]())
        case "INT" | "LONG" | "LONG1" | "BININT" | "BININT1" | "BININT2" | "FLOAT" | "BINFLOAT":
            stack.append(argument)
        case "UNICODE" | "BINUNICODE" | "SHORT_BINUNICODE":
            stack.append(argument)
        case "TUPLE":
            stack.append(tuple(machine.marked()))
        case "TUPLE1" | "TUPLE2" | "TUPLE3":
            size = int(operation[-1])
            taken = tuple(stack[-size:])
            del stack[-size:]
            stack.append(taken)
        case "APPEND" | "APPENDS":
            taken = [stack.pop()] if operation == "APPEND" else machine.marked()
            if not isinstance(stack[-1], list):
                raise InputError("adds to something that is no list")
            stack[-1].extend(taken)
        case "SETITEM" | "SETITEMS":
            machine.put([stack.pop(-2), stack.pop()] if operation == "SETITEM" else machine.marked())
        case "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
            machine.memo[len(machine.memo) if argument is None else argument] = stack[-1]
        case "BINGET" | "LONG_BINGET":
            stack.append(machine.memo[argument])
        case "GLOBAL" | "STACK_GLOBAL":
            text = argument if operation == "GLOBAL" else f"{stack.pop(-2)} {stack.pop()}"
            if text not in KNOWN:
                raise InputError(f"holds code, {text.replace(' ', '.')[:80]!r}, which is not run; allowed: tensors in tables")
            stack.append(Name(text))
        case "REDUCE" | "NEWOBJ":
            stack.append(machine.call(stack.pop(-2), stack.pop()))
        case "BUILD":
            state = stack.pop()
            if not isinstance(stack[-1], dict) or not isinstance(state, dict):
                raise InputError("sets the inside of something that is no table")
            if isinstance(state.get("_parameters"), dict):  # of a ParameterDict
                stack[-1].update(state["_parameters"])
        case "BINPERSID":
            stack.append(machine.stored(stack.pop()))
        case _:
            raise InputError(f"holds the pickle instruction {operation}, which no file of tensors needs")
