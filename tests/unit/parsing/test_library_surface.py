"""What of polars, pandas, NumPy and the standard library leaves the computation."""

import pytest

from qmtl.parsing.parser import parse_strategy
from tests.support.refusals import HEAD, codes_of


@pytest.mark.parametrize(
    "path",
    [
        "pl.Catalog",
        "pl.catalog",
        "pl.config",
        "pl.CredentialProviderAWS",
        "pl.StringCache",
        "pl.RemoteEngine",
        "pl.register_extension_type",
        "pl.delete_iceberg",
        "pl.collect_all_async",
        "pl.enable_string_cache",
        "pl.thread_pool_size",
        "pl.plr",
        "pl.functions",
        "pl.api.register_expr_namespace",
        "pl.scan_lines",
        "pl.defer",
        "pd.option_context",
        "pd.get_option",
        "pd.set_eng_float_format",
        "pd.options",
        "pd.plotting",
        "np.random.set_bit_generator",
        "np.seterr",
        "np.testing",
        "np.memmap",
        "functools.singledispatch",
    ],
)
def test_parts_of_libraries_that_reach_outside_or_hold_global_state_are_refused(path: str) -> None:
    assert codes_of(f"def h(): return {path}") & {"QMTL-121", "QMTL-127"}


@pytest.mark.parametrize(
    "name",
    [
        "remote",
        "serialize",
        "deserialize",
        "sql",
        "collect_async",
        "collect_batches",
        "sink_parquet",
        "write_csv",
        "show",
        "show_graph",
        "plot",
        "boxplot",
        "execute",
        "ctypes",
        "buffer_info",
        "to_torch",
    ],
)
def test_attributes_that_write_draw_or_run_elsewhere_are_refused_of_any_object(name: str) -> None:
    assert codes_of(f"def h(x): return x.{name}") == {"QMTL-121"}


@pytest.mark.parametrize(
    "text",
    [
        "pl.col('a').rolling_mean(3), pl.DataFrame({'a': [1]}).lazy().collect()",
        "x.group_by('a').agg(pl.len()).sort('a'), x.map_batches(len), x.hist, x.style",
        "np.errstate(all='ignore'), np.random.default_rng(1), pd.concat([x]), pd.NA",
        "pd.tseries.offsets.BDay(1), pl.selectors.numeric(), x.describe()",
    ],
)
def test_what_computes_stays(text: str) -> None:
    assert parse_strategy(HEAD + f"def h(x): return {text}").nodes
