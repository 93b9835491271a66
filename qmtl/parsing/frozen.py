"""Which expressions give values that nothing can change, as far as their text shows."""

from __future__ import annotations

import ast

from qmtl.parsing.allowed import words
from qmtl.parsing.outline import Outline

_BUILTINS = words(
    "abs all any ascii bin bool bytes chr complex divmod float format frozenset hex int isinstance "
    "issubclass len max min oct ord pow range repr round slice str sum tuple"
)
_METHODS = words(  # of texts, numbers and times
    "as_integer_ratio date encode format hex join lower replace strip timestamp title "
    "total_seconds upper"
)
_WHOLE_MODULES = frozenset({"math", "cmath", "datetime"})  # all that they give
_PATHS = words(
    "collections.namedtuple decimal.Decimal enum.auto fractions.Fraction functools.partial "
    "operator.itemgetter re.compile statistics.NormalDist typing.NewType typing.TypeVar "
    "numpy.bool_ numpy.datetime64 numpy.dtype numpy.finfo numpy.float16 numpy.float32 "
    "numpy.float64 numpy.iinfo numpy.int16 numpy.int32 numpy.int64 numpy.int8 numpy.timedelta64 "
    "numpy.uint16 numpy.uint32 numpy.uint64 numpy.uint8 "
    "pandas.CategoricalDtype pandas.DateOffset pandas.DatetimeTZDtype pandas.Interval "
    "pandas.Period pandas.PeriodDtype pandas.Timedelta pandas.Timestamp "
    "polars.Datetime polars.Duration polars.Enum polars.List polars.col polars.lit"
)
_PATH_STARTS = ("pandas.offsets.", "pandas.tseries.offsets.", "numpy.random.SeedSequence")
_DISPLAYS = ast.List | ast.Set | ast.Tuple
_FACTORY_WORDS = frozenset({"default_factory", "cached_property", "__init__", "__new__"})


class Frozen:
    """Answers whether an expression that is evaluated while the module loads is unchangeable.

    Doubt counts as changeable: what is refused today can be allowed later.
    """

    def __init__(self, found: Outline) -> None:
        self._found = found
        self._constants: dict[str, bool] = {}
        self._classes: dict[str, bool] = {}
        for statement in found.constants:  # in order: each rests on earlier ones alone
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id=name)])
                    | ast.AnnAssign(target=ast.Name(id=name))
                ):
                    given = statement.value
                    self._constants[name] = given is not None and self.holds(given)

    def holds(self, node: ast.expr | None) -> bool:
        """Tell whether nothing can change what an expression gives."""
        match node:
            case None | ast.Constant() | ast.Lambda() | ast.JoinedStr() | ast.Compare():
                return True
            case ast.Name(id=name):
                return self._constants.get(name, True)
            case ast.Call():
                return self._gives_frozen(node) and all(map(self._passes, _arguments(node)))
            case _:
                parts = _parts(node)
                return parts is not None and all(map(self.holds, parts))

    def _gives_frozen(self, call: ast.Call) -> bool:
        path = self._found.index.path(call.func)
        if path is not None:
            root = path.partition(".")[0]
            return root in _WHOLE_MODULES or path in _PATHS or path.startswith(_PATH_STARTS)
        match call.func:
            case ast.Name(id=name) if name in self._found.names:
                if name not in self._classes:
                    self._classes[name] = self._is_frozen_class(self._found.names[name])
                return self._classes[name]
            case ast.Name(id=name):
                return name in _BUILTINS
            case ast.Attribute(value=base, attr=name):
                return name in _METHODS and self.holds(base)
            case _:
                return False

    def _passes(self, argument: ast.expr) -> bool:
        """Tell whether an argument is frozen, or a display that is read and dropped."""
        if isinstance(argument, _DISPLAYS):
            return all(map(self.holds, argument.elts))
        return self.holds(argument)

    def _is_frozen_class(self, statement: ast.stmt) -> bool:
        """Tell whether a class of the module makes frozen objects of frozen arguments."""
        if not isinstance(statement, ast.ClassDef):
            return False
        bases = [self._found.index.path(base) for base in statement.bases]
        marked = "typing.NamedTuple" in bases or any(map(_says_frozen, statement.decorator_list))
        return marked and not any(_FACTORY_WORDS & set(_words_of(n)) for n in ast.walk(statement))


def _parts(node: ast.expr) -> list[ast.expr] | None:
    """Return what an expression must be made of to be frozen; None where it never is."""
    match node:
        case ast.Attribute() | ast.Subscript() | ast.Starred() | ast.NamedExpr():
            return [node.value]
        case ast.UnaryOp():
            return [node.operand]
        case ast.BinOp():
            return [node.left, node.right]
        case ast.BoolOp(values=parts) | ast.Tuple(elts=parts):
            return parts
        case ast.IfExp():
            return [node.body, node.orelse]
        case _:
            return None


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(each.value for each in call.keywords)]


def _says_frozen(decorator: ast.expr) -> bool:
    if not isinstance(decorator, ast.Call):
        return False
    given = {each.arg: each.value for each in decorator.keywords}
    said = given.get("frozen")
    return isinstance(said, ast.Constant) and said.value is True


def _words_of(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(id=word) | ast.Attribute(attr=word) | ast.FunctionDef(name=word):
            return [word]
        case ast.keyword(arg=str(word)):
            return [word]
        case _:
            return []
