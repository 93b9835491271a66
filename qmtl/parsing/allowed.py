"""The name policy as data: what strategies may import, call and access.

It is written narrowly: a later version may allow more, but nothing that was accepted is ever
refused. It keeps honest code deterministic and pure; what stops hostile code is the sandbox.
"""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


MODULES = words(
    "__future__ abc array bisect calendar cmath collections copy dataclasses datetime "
    "decimal enum fractions functools hashlib heapq itertools json math numbers numpy "
    "operator pandas polars random re scipy statistics string typing"
)
CLOCK_MODULES = frozenset({"time"})
LANGUAGE_WORDS = frozenset({"each", "node", "query", "source", "strategy", "window"})
DECORATOR_WORDS = frozenset({"each", "node"})
TYPE_WORDS = frozenset({"Window"})  # for annotations, and to tell one from a list

EXCEPTIONS = words(
    "ArithmeticError AssertionError AttributeError Exception FloatingPointError "
    "IndexError KeyError LookupError NotImplementedError OverflowError RuntimeError "
    "RuntimeWarning StopIteration TypeError UnicodeDecodeError UnicodeEncodeError "
    "UnicodeError UserWarning ValueError Warning ZeroDivisionError"
)
CALLABLES = words(
    "abs all any ascii bin bool bytearray bytes callable chr complex dict divmod "
    "enumerate filter float format frozenset hash hex int isinstance issubclass iter "
    "len list map max min next object oct ord pow print range repr reversed round set "
    "slice sorted str sum tuple zip"
)
BUILTINS = (
    CALLABLES
    | EXCEPTIONS
    | frozenset({"Ellipsis", "NotImplemented", "classmethod", "property", "staticmethod", "super"})
)
GUARDED_BUILTINS = frozenset({"getattr", "hasattr", "type"})  # in one form each
REFUSED_BUILTINS = words(
    "__build_class__ __import__ breakpoint compile delattr dir eval exec exit globals "
    "help id input locals memoryview open quit setattr vars "
    "BaseException GeneratorExit KeyboardInterrupt SystemExit"
)

# A class may define these; no code may name one otherwise.
CLASS_METHODS = frozenset(
    f"__{name}__"
    for name in words(
        "init post_init repr str bool hash len iter next reversed contains getitem call "
        "enter exit eq ne lt le gt ge neg pos abs invert round trunc floor ceil int float "
        "index add sub mul matmul truediv floordiv mod divmod pow lshift rshift and or "
        "xor radd rsub rmul rmatmul rtruediv rfloordiv rmod rdivmod rpow rlshift rrshift "
        "rand ror rxor iadd isub imul imatmul itruediv ifloordiv imod ipow"
    )
)

ATTRIBUTE_PREFIXES = ("_", "gi_", "cr_", "ag_", "tb_", "f_")
CLOCK_ATTRIBUTES = frozenset({"now", "today", "utcnow"})
CLOCK_WORDS = frozenset({"now", "today"})
FORMAT_ATTRIBUTES = frozenset({"format", "format_map"})
# Of any object: they run text as code, write files, reach the network, draw, or show addresses.
REFUSED_ATTRIBUTES = words(
    "eval query mro dump tofile fromfile memmap to_clipboard to_csv to_excel "
    "to_feather to_gbq to_hdf to_html to_json to_latex to_markdown to_orc to_parquet "
    "to_pickle to_sql to_stata to_string to_xml to_iceberg write_avro write_clipboard "
    "write_csv write_database write_delta write_excel write_iceberg write_ipc "
    "write_ipc_stream write_json write_ndjson write_parquet sink_csv sink_ipc "
    "sink_ndjson sink_parquet sink_delta sink_iceberg sink_batches "
    "sql serialize deserialize remote collect_async collect_batches execute "
    "from_lazyframe_resolver show show_graph plot boxplot "
    "to_jax to_torch to_xarray ctypes buffer_info"
)

# Below any imported module: other modules that it happens to hold.
_STRAY_MODULES = words(
    "os sys subprocess shutil socket pathlib io builtins bltns importlib inspect "
    "types ctypes threading multiprocessing tempfile pickle marshal codecs gc "
    "warnings weakref traceback pty platform ast linecache tokenize contextlib "
    "copyreg keyword locale logging concurrent asyncio urllib http zipfile zipimport "
    "runpy sysconfig site"
)
_REFUSED_BELOW: dict[str, frozenset[str]] = {
    name: frozenset(parts.split())
    for name, parts in {
        "abc": "update_abstractmethods",
        "calendar": "setfirstweekday different_locale LocaleTextCalendar LocaleHTMLCalendar main",
        "collections": "register",
        "copy": "dispatch_table",
        "dataclasses": "make_dataclass",
        "decimal": "getcontext setcontext DefaultContext BasicContext ExtendedContext",
        "enum": "global_enum global_enum_repr",
        "functools": "singledispatch singledispatchmethod update_wrapper wraps",
        "hashlib": "file_digest",
        "json": "load dump tool",
        "numpy": "load save savez savez_compressed loadtxt savetxt genfromtxt fromregex DataSource "
        "ctypeslib f2py distutils testing lib core compat set_printoptions seterr seterrcall "
        "setbufsize show_config show_runtime get_include byte_bounds set_bit_generator "
        "get_bit_generator",
        "numbers": "register",
        "operator": "attrgetter methodcaller",
        "pandas": "HDFStore ExcelFile ExcelWriter io core compat util testing plotting api "
        "show_versions test options set_option reset_option get_option describe_option "
        "option_context set_eng_float_format pandas",
        "polars": "SQLContext sql sql_expr Config io plugins api scan_pyarrow_dataset "
        "set_random_seed show_versions config catalog Catalog build_info thread_pool_size "
        "jemalloc_conf collect_all_async defer delete_iceberg get_extension_type "
        "register_extension_type unregister_extension_type BaseExtension Extension "
        "StringCache enable_string_cache disable_string_cache using_string_cache string_cache "
        "GPUEngine RemoteEngine FileProviderArgs PartitionBy ScanCastOptions "
        "ParquetDecryptionProperties ParquetEncryptionProperties convert dataframe lazyframe "
        "datatype_expr expr functions interchange meta ml plr testing wrap_df wrap_s",
        "random": "SystemRandom",
        "re": "purge template",
        "scipy": "io datasets misc LowLevelCallable show_config test load_npz save_npz "
        "register_backend set_backend set_global_backend set_workers seterr use_solver",
        "string": "Formatter",
        "typing": "get_type_hints ForwardRef evaluate_forward_ref",
    }.items()
}
_REFUSED_PREFIXES = {
    "pandas": ("read_",),
    "polars": ("read_", "scan_", "CredentialProvider", "credential"),
}
# They change the list, dict, set, deque, array or pandas object that they are called on.
MUTATORS = words(
    "append appendleft extend extendleft insert remove pop popleft popitem clear update setdefault "
    "discard sort reverse move_to_end isetitem rotate difference_update intersection_update "
    "symmetric_difference_update fill put resize"
)
ARRAY_MUTATORS = words("byteswap partition setfield setflags itemset")
POLARS_MUTATORS = words(
    "append drop_in_place extend insert_column replace_column scatter set_sorted"
)
# They change their first argument.
CHANGING_PATHS = frozenset(
    f"{module}.{name}"
    for module, names in {
        "bisect": "insort insort_left insort_right",
        "heapq": "heapify heappop heappush heappushpop heapreplace",
        "numpy": "copyto fill_diagonal place put put_along_axis putmask random.shuffle",
        "operator": "delitem iadd iand iconcat ifloordiv ilshift imatmul imod imul ior ipow "
        "irshift isub itruediv ixor setitem",
        "random": "shuffle",
    }.items()
    for name in names.split()
)
CONTAINER_BUILTINS = frozenset({"bytearray", "dict", "list", "set"})
CONTAINER_PATHS = words(
    "array.array collections.ChainMap collections.Counter collections.OrderedDict "
    "collections.defaultdict collections.deque "
    "numpy.arange numpy.array numpy.asarray numpy.empty numpy.eye numpy.full numpy.geomspace "
    "numpy.identity numpy.linspace numpy.logspace numpy.ones numpy.zeros"
)
GROWS_WHEN_READ = frozenset({"collections.defaultdict"})
# They keep results, and what the results hold, from one call to the next.
MEMO_PATHS = frozenset({"functools.cache", "functools.lru_cache"})
ENTROPY_PATHS = frozenset({"random.Random", "random.seed"})  # without a seed
ITERATOR_BUILTINS = words("enumerate filter iter map reversed zip")
ITERATOR_PATHS = frozenset({"heapq.merge", "re.finditer"})  # and all of itertools
DECORATOR_MODULES = frozenset({"functools", "dataclasses", "enum", "abc", "typing"})
CLASS_DECORATORS = frozenset({"property", "classmethod", "staticmethod"})
PROPERTY_PARTS = frozenset({"setter", "getter", "deleter"})
# Drawn while the module loads, a number would come before the seed of any node.
RANDOM_PARTS = frozenset({"random", "rvs", "sample", "shuffle", "choice"})


def refused_path(path: str) -> str | None:
    """Return the part of a dotted path below an imported module that may not be reached."""
    root, *parts = path.split(".")
    below = _REFUSED_BELOW.get(root, frozenset())
    prefixes = _REFUSED_PREFIXES.get(root, ())
    for part in parts:
        if part in _STRAY_MODULES or part in below or part.startswith(prefixes):
            return part
    return None


def refused_attribute(name: str) -> bool:
    """Tell whether no object's attribute of this name may be reached."""
    return name.startswith(ATTRIBUTE_PREFIXES) or name in REFUSED_ATTRIBUTES


def is_module(module: str) -> bool:
    """Tell whether a module may be imported, going by its name alone."""
    root = module.partition(".")[0]
    if root not in MODULES or refused_path(module) is not None:
        return False
    return not any(part.startswith("_") for part in module.split(".")) or module == "__future__"
