"""State that would outlive a call: a result must not depend on what ran before."""

import pytest

from qmtl.common.errors import StrategyRejected
from qmtl.parsing.parser import parse_strategy
from tests.support.refusals import HEAD, codes_of

MODULE = """K=[1]
R=[[1], [2]]
D={'a': [1]}
A=np.zeros((2, 2))
S=pd.DataFrame()
L=pl.DataFrame()
class C:
  count = 0
"""


@pytest.mark.parametrize(
    "text",
    [
        "def h(x=[]): pass",
        "def h(x={}): pass",
        "def h(*, x=set()): pass",
        "def h(x=list()): pass",
        "def h(x=np.zeros(3)): pass",
        "def h(x=collections.deque()): pass",
        "K=[1]\ndef h(x=K): pass",
        "K=(1,[2])\ndef h(x=K): pass",
        "def h(f=lambda x=[]: x): pass",
        "F = lambda x=[]: x",
        "class C:\n  def m(self, x=[]): pass",
        "class C:\n  items = []",
        "class C:\n  items: list = []",
        "class C:\n  a = np.zeros(3)",
        "class C:\n  class D:\n    x = {}",
        "@functools.cache\ndef h(x): return x",
        "@functools.lru_cache(maxsize=None)\ndef h(x): return x",
        "class C:\n  @functools.cache\n  def m(self): return 1",
        "def h(x=[1]*2): pass",
        "def f(): return 1\ndef h(x=f()): pass",
        "class C:\n  def __init__(self): self.x=1\ndef h(x=C()): pass",
        "@node\ndef b(prices, seen=[]): return b(prices)",
        "def h(x=[i for i in (1,)]): pass",
        "def h(x=pd.DataFrame()): pass",
        "@dataclasses.dataclass(frozen=True)\nclass C:\n"
        "  x: list = dataclasses.field(default_factory=list)\ndef h(c=C()): pass",
    ],
)
def test_what_is_made_once_and_can_be_changed_is_refused(text: str) -> None:
    assert codes_of(text) == {"QMTL-119"}


@pytest.mark.parametrize(
    "lines",
    [
        "k=K; k.append(1)",
        "for x in R: x.append(1)",
        "for x in R: x[0] = 1",
        "k = (j := K); j.append(1)",
        "np.put(A, 0, 1)",
        "np.copyto(A, 1)",
        "np.fill_diagonal(A,1)",
        "random.shuffle(K)",
        "heapq.heappush(K, 1)",
        "bisect.insort(K, 1)",
        "np.add(1, 2, out=A)",
        "np.add(1,2,out=(A,))",
        "del K[0]",
        "K[0] = 1",
        "K.x = 1",
        "C.count = 1",
        "C.count += 1",
        "type(p).count = 1",
        "T = type(p); T.count = 1",
        "np.random.shuffle(A)",
        "p.shuffle(K)",
        "list.append(K, 1)",
        "next(K)",
        "list(map(K.append, p))",
        "A.partition(1)",
        "k = p or K; k['a'] = 1",
        "k = K if p else []; k.append(2)",
        "k = K; k += [1]",
        "A.sort()",
        "np.add.at(A, 0, 1)",
        "S.insert(0, 1, 2)",
        "S.fillna(0, inplace=True)",
        "k = S; k.loc[0] = 1",
        "k = R[0]; k.append(1)",
        "for r in D.values(): r.append(1)",
        "operator.setitem(K, 0, 1)",
        "L.extend(L)",
        "L.insert_column(0, p)",
        "np.nan_to_num(A, copy=False)",
        "f = h; f.count = 1",
        "o = pd.NA; o.x = 1",
    ],
)
def test_a_call_that_changes_what_the_module_holds_is_refused_by_whatever_name(lines: str) -> None:
    body = "\n  ".join(lines.split("; "))
    assert codes_of(f"{MODULE}def h(p):\n  {body}\n  return 1") == {"QMTL-115"}


@pytest.mark.parametrize(
    "text",
    [
        "class C:\n  n = 0\n  @classmethod\n  def m(cls): cls.n = 1",
        "class C:\n  n = 0\n  @classmethod\n  def m(cls): cls.n += 1",
        "class C:\n  n = 0\n  def m(self): type(self).n += 1",
    ],
)
def test_a_method_that_counts_in_its_class_is_refused(text: str) -> None:
    assert codes_of(text) == {"QMTL-115"}


def test_the_body_of_a_class_holds_methods_and_attributes_alone() -> None:
    assert codes_of("class C:\n  for _ in (1, 2): pass") == {"QMTL-118"}


@pytest.mark.parametrize(
    "text", ["D = collections.defaultdict(list)", "F = functools.cache(math.sqrt)"]
)
def test_a_constant_that_grows_when_it_is_used_is_refused(text: str) -> None:
    assert codes_of(text) == {"QMTL-116"}


@pytest.mark.parametrize(
    "text",
    [
        "def h(x=(), y=None, z=1, w='a', v=-1, u=(1,(2,3)), q=frozenset(), "
        "p=frozenset({'a'}), r=1e-3*2): return x",
        "K=(1,2)\ndef h(x=K, f=math.sqrt, g=float, n=np.nan, t=np.float64, u=len): return x",
        "def h(x=dt.timedelta(days=1), d=dt.date(2020,1,1), td=pd.Timedelta('1d'), "
        "of=pd.offsets.BDay(2), dec=decimal.Decimal('1')): pass",
        "def g(x): return x\ndef h(f=g, k=lambda p: p): pass",
        "def h():\n  @functools.lru_cache(None)\n  def fib(n, memo=[]): return n\n  return fib(3)",
        "class C:\n  X = 1\n  Y = (1,2)\n  Z = X + 1\n  n: int\n  f: float = 1.0\n"
        "  def m(self, x=None): return x",
        "@dataclasses.dataclass\nclass C:\n"
        "  x: list = dataclasses.field(default_factory=list)\n  y: int = 1",
        "class S(enum.Enum):\n  A = 'a'\n  B = enum.auto()\n  C = (1, 2)",
        "class P(typing.NamedTuple):\n  x: int = 1\ndef h(p=P()): pass",
        "@dataclasses.dataclass(frozen=True)\nclass C:\n  x: int = 1\n"
        "  def f(self): return self.x\ndef h(c=C(2)): return c.x",
        "K=[1]\ndef h():\n  k = list(K)\n  k.append(1)\n  return k",
        "K=[1]\ndef h():\n  k = K.copy()\n  k[0]=1",
        "K=[1]\ndef h():\n  k = K\n  k = sorted(k)\n  k.append(1)",
        "S=0\ndef h(xs):\n  s = S\n  for x in xs: s += x\n  return s",
        "N=['a']\ndef h():\n  for n in N: n += '!'\n  return n",
        "N=[1,2,3]\ndef h():\n  n = N[:2]\n  n.append(1)\n  return n",
        "W={'a': 1.0}\ndef h(x): return {k: v * x for k, v in W.items()}",
        "D={'a':1}\ndef h(o=None):\n  p = {**D, **(o or {})}\n  p['x'] = 1\n  return p",
        "def h(rng, x, SEED=1): return x.shuffle(SEED)",
        "SEED=1\ndef h(x): return x.shuffle(SEED)",
        "E=np.finfo(float).eps\ndef h():\n  e = E\n  e *= 2\n  return e",
        "T=pd.DataFrame()\ndef h():\n  t = T.copy()\n  t['a'] = 1\n  return t",
        "class C:\n  def __hash__(self): return hash((self.a, 1))",
        "def h(x): return x.astype(object), isinstance(x, object), f'{x}', str(x)",
        "class C(object): pass",
        "def h(x): return x.between_time('9:30','16:00'), pd.Timedelta('10:00:00'), "
        "{'today': 1}, pd.Timestamp('2020-01-01 10:00')",
        "def h(x): return random.Random(5).random(), np.random.default_rng(), x['now'], "
        "x == 'today'",
        "def h(s): return s.add(1), s.sort_values(), np.add(s, 1, out=np.zeros(3))",
        "def h(x):\n  d = {}\n  d.setdefault('a', []).append(x)\n  return d",
        "class Acc:\n  def __init__(self):\n    self.items = []\n  def add(self, x):\n"
        "    self.items.append(x)\n    return self\ndef h(x): return Acc().add(x).items",
        "def h(x):\n  out = np.empty(3)\n  np.add(x, 1, out=out)\n  return out",
        "L=pl.DataFrame()\ndef h(): return L.update(L), L.clear(), L.sort('a')",
        "class C:\n  def m(self):\n    self.n = 1\n    return self",
        "from functools import cached_property\nclass C:\n  @cached_property\n"
        "  def m(self): return [1]",
        "K={'a': 1}\ndef h(x):\n  v = K['a']\n  v += x\n  return v",
        "F = functools.partial(max, default=0)\ndef h(x, key=operator.itemgetter(1)): return F(x)",
        "def h(x, side='call'):\n  x.style = side\n  return x.style, x.hist",
        "OPEN = dt.time(9, 30)\ndef h(x, open_at=OPEN, pat=re.compile('x')): return x",
        "class Side(enum.IntEnum):\n  LONG = 1\nDEFAULT = Side.LONG\n"
        "def h(s=Side.LONG, d=DEFAULT): return s",
        "def h(x):\n  cls = x.copy()\n  cls['a'] = 1\n  return cls",
        "def h(x, *, fill=float('nan'), inf=math.inf, tz=dt.timezone.utc): return x",
        "class M:\n  '''doc'''\n  A, B = 1, 2\n"
        "  def __init__(self, w=(1, 2)): self.w = list(w)\n  @staticmethod\n"
        "  def s(x): return x\n  @property\n  def p(self): return self.w",
    ],
)
def test_honest_code_around_constants_defaults_and_classes_is_accepted(text: str) -> None:
    assert parse_strategy(HEAD + text).nodes


def test_a_default_that_could_be_changed_is_told_with_what_to_write() -> None:
    with pytest.raises(StrategyRejected) as caught:
        parse_strategy(HEAD + "def h(seen=[]): return seen")
    (found,) = caught.value.problems
    assert found.hint == "Write `seen=None` and make it inside, or a tuple."


def test_an_alias_is_told_with_the_name_it_stands_for() -> None:
    with pytest.raises(StrategyRejected) as caught:
        parse_strategy(HEAD + "K = [1]\ndef h():\n  k = K\n  k.append(1)")
    (found,) = caught.value.problems
    assert found.message == "'k' is 'K' itself, no copy; 'K' belongs to the module."


def test_long_chains_of_aliases_and_of_class_attributes_take_time_that_grows_with_the_text() -> (
    None
):
    chain = "".join(f"  x{i} = x{i + 1}\n" for i in range(3_000))
    parse_strategy(HEAD + f"def h(x3000):\n{chain}  x0.append(1)\n")
    attributes = "".join(f"  y{i} = y{i - 1}\n" for i in range(1, 3_000))
    parse_strategy(HEAD + f"class C:\n  y0 = 1\n{attributes}")
