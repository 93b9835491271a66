"""Every code that is no problem of a text: its cause, an example, and how it is mended."""

from __future__ import annotations

from dataclasses import dataclass

from qmtl.common import errors


@dataclass(frozen=True, slots=True)
class Entry:
    """How `docs/errors.md` explains a code; its title comes from the error itself.

    Attributes:
        cause: Why it happens.
        example: What leads to it.
        mend: What to do.
    """

    cause: str
    example: str
    mend: str


# What records of nodes and executions say; nothing raises it.
RECORD_TITLES = {
    errors.DEADLINE_PASSED: "The execution had not ended when its time was over",
    errors.NODE_RAISED: "The node's function raised an exception",
    errors.NODE_TIMED_OUT: "The node took longer than its timeout",
    errors.NODE_OUT_OF_MEMORY: "The node used more memory than it may",
    errors.NODE_DIED: "The process that computed the node ended",
    errors.NODE_UPSTREAM_FAILED: "A node that it reads has no result",
}

ENTRIES: dict[str, Entry] = {
    "QMTL-100": Entry(
        "At least one problem, QMTL-101 to QMTL-199, was found in the text; `problems` lists each "
        "with line, column and hint.",
        "`qmtl submit` of a file that `qmtl check` refuses",
        "Change what the list names; they are all told at once.",
    ),
    "QMTL-200": Entry(
        "Nothing has this address, or it belongs to another tenant.",
        "`GET /v1/nothing`",
        "Check the address and the key.",
    ),
    "QMTL-201": Entry(
        "The name was never registered for this tenant.",
        "`qmtl activate golden_cros --environment production`",
        "Check the spelling, or submit the strategy first.",
    ),
    "QMTL-202": Entry(
        "The strategy has other versions, but not this one.",
        "`qmtl activate golden_cross --version 00000000000000000000000000000000`",
        "Take a version from the list of the strategy's versions.",
    ),
    "QMTL-203": Entry(
        "No registered version of the tenant binds a node of this id.",
        "`GET /v1/nodes/00000000000000000000000000000000`",
        "Take the id from `qmtl ids`, and submit the strategy.",
    ),
    "QMTL-204": Entry(
        "Sources are known from the strategies that declare them, and none declares this one.",
        "`qmtl points nasdaq.gogo goog.csv`",
        "Check the spelling, or submit a strategy that declares it.",
    ),
    "QMTL-205": Entry(
        "The id is wrong, or the record has been removed (`QMTL_SUBMISSION_TTL_S`).",
        "`GET /v1/submissions/00000000000000000000000000000000`",
        "Look at the strategy itself.",
    ),
    "QMTL-210": Entry(
        "What is stored says something else than the request expects.",
        "a request that rests on a state which another request changed",
        "Read the state again and decide anew.",
    ),
    "QMTL-211": Entry(
        "The deployment is no longer what the request says it must be.",
        'two activations with `"expected": ""` at the same time',
        "Read the deployment again and decide anew.",
    ),
    "QMTL-212": Entry(
        "A series of a name has one interval and one stamp in the whole tenant.",
        '`source("nasdaq.goog", columns=["close"], interval="1h")` where it is known as daily',
        "Declare it as it is known, or give the series another name.",
    ),
    "QMTL-213": Entry(
        "`register_node` registers a single node; a deployment needs all.",
        "activating a version of which only one node was registered",
        "Submit the whole strategy.",
    ),
    "QMTL-300": Entry(
        "The data's form does not fit what is declared.",
        "a window of two values with three buckets",
        "Compare the data with the source's declaration.",
    ),
    "QMTL-301": Entry(
        "A time is no RFC 3339 time, a value is no number, or a column lacks or is too many.",
        '`{"ts": "yesterday", "close": 101.5}`',
        "Mend the row and the column that the message names.",
    ),
    "QMTL-302": Entry(
        "Nothing of the source was known yet at the node's bucket: a point that bears the start of "
        "its interval is visible an interval later.",
        "`qmtl trigger golden_cross --environment production` before any point was sent",
        "Send points, give them with the trigger, or ask for a later time.",
    ),
    "QMTL-303": Entry(
        "Results are encoded, and this type has no encoding that is equal everywhere.",
        "`return {1, 2, 3}` (a set has no order)",
        "Return plain values, lists, dicts with text keys, arrays, series or frames.",
    ),
    "QMTL-304": Entry(
        "The encoded value is over `QMTL_VALUE_LIMIT_BYTES`.",
        "`return np.zeros(10_000_000)`",
        "Return less, such as the tail of the series.",
    ),
    "QMTL-305": Entry(
        "The bytes were damaged, or written by something else.",
        "a key of the result store that was overwritten by hand",
        "Run the execution again; if it comes back, report it.",
    ),
    "QMTL-401": Entry(
        "The id is wrong, or the execution was forgotten: it is kept for "
        "`QMTL_EXECUTION_RETENTION_S` after its end.",
        "`qmtl status 00000000000000000000000000000000`",
        "Take the id that `qmtl trigger` printed.",
    ),
    "QMTL-402": Entry(
        "Targets are the bindings of the version; members of families are named with brackets.",
        '`Pipeline.execute(targets=["sma"])` where `sma` is a family',
        'Name a node, such as `"sma[10]"`.',
    ),
    "QMTL-403": Entry(
        "Executions of an environment run its active version, and there is none.",
        "`qmtl trigger golden_cross --environment staging` before it was activated there",
        "Activate a version, or name the version.",
    ),
    "QMTL-404": Entry(
        "The plan could not be made, something that it rests on is no longer kept, or planning "
        "ended five processes, as where it takes more memory than there is.",
        "resuming an execution whose inputs were removed",
        "Trigger it anew; the message says what was missing. Where planning ended its processes, "
        "give the node workers more memory, or look for what else kills them, before that.",
    ),
    "QMTL-405": Entry(
        "Resume, retry and replay begin where an execution has ended; this one runs or waits to.",
        "`qmtl resume ID` of an execution that is RUNNING",
        "Wait for its end, or stop it with `qmtl cancel`.",
    ),
    "QMTL-406": Entry(
        "What has ended cannot be cancelled, and what has succeeded leaves nothing to resume.",
        "`qmtl cancel ID` of an execution that is SUCCEEDED",
        "`qmtl retry ID --from NODE` computes results again.",
    ),
    errors.DEADLINE_PASSED: Entry(
        "Its trigger gave a deadline, and the time was over before all of its nodes had ended.",
        "`qmtl trigger NAME -e staging --deadline 30s` while the workers are busy for longer",
        "`qmtl resume ID` runs what is left; give it more time or priority, or add workers.",
    ),
    "QMTL-408": Entry(
        "The strategy carries results from bucket to bucket, and more buckets lack before the one "
        "that was triggered than `QMTL_MOST_GAP_BUCKETS`.",
        "a strategy of minutes, triggered again after a weekend",
        "Activate it with a later `--start` to leave them out, or trigger earlier buckets first.",
    ),
    errors.NODE_RAISED: Entry(
        "The strategy's own code failed; the record has the message and its own lines.",
        "`return 1 / len(prices[prices > 1_000])`",
        "Mend the code, or declare `retries=` where the failure passes.",
    ),
    errors.NODE_TIMED_OUT: Entry(
        "A call ran longer than `timeout=` of the node, or `QMTL_NODE_TIMEOUT_S`.",
        '`@node(timeout="1s")` over a function that takes two',
        "Make it faster, cut it into several nodes, or raise the timeout.",
    ),
    errors.NODE_OUT_OF_MEMORY: Entry(
        "A call wanted more than `memory=` of the node, or `QMTL_NODE_MEMORY_BYTES`. What it "
        "decodes of its inputs counts; libraries, and up to 2 GiB of encoded values that its "
        "process holds for other nodes, do not.",
        '`@node(memory="64MiB")` over `np.zeros(10**8)`',
        "Work on less at a time, or raise the limit.",
    ),
    errors.NODE_DIED: Entry(
        "A library crashed, the system killed the process, or its worker was lost too often.",
        "a machine without free memory",
        "Resume the execution; if it comes back, look at the node's memory and its libraries.",
    ),
    errors.NODE_UPSTREAM_FAILED: Entry(
        "It was skipped: without all of its inputs it cannot be computed.",
        "`position` after `crossover` raised an exception",
        "Mend the node that failed first, and resume the execution.",
    ),
    "QMTL-500": Entry(
        "A field lacks, is unknown, or has a value of the wrong form; `errors` names each.",
        '`{"as_of": "tomorrow"}`',
        "Compare the request with the API's description at `/docs`.",
    ),
    "QMTL-501": Entry(
        "Writes, and all that belongs to a tenant, need a key that the server knows.",
        "`qmtl submit` without `QMTL_API_KEY`",
        "Set `QMTL_API_KEY` to a key of an entry of the server's `QMTL_API_KEYS`.",
    ),
    "QMTL-502": Entry(
        "A key stands for one request, so that a repeated one acts once. A key whose execution was "
        "forgotten may be used again, unless histories still read its results.",
        "the same `Idempotency-Key` for two different triggers",
        "Use a new key for a new request.",
    ),
    "QMTL-503": Entry(
        "The value of an environment variable cannot be read.",
        "`QMTL_SLOTS=many`",
        "See `docs/settings.md` for what each takes.",
    ),
    "QMTL-504": Entry(
        "So many executions have not ended, of the tenant (`QMTL_MOST_OPEN_PER_TENANT`) or of all "
        "(`QMTL_MOST_OPEN`), that no further one is taken; the message and `bound` say which.",
        "triggers that come faster than the workers run them",
        "Send it again after `Retry-After` seconds; nothing was created.",
    ),
    "QMTL-505": Entry(
        "An event stream holds a thread of the web process, so only some are served at a time, and "
        "fewer where many requests wait.",
        "more `qmtl watch` at once than the server has places",
        "Ask again after `Retry-After` seconds, or ask for the execution with `?wait=`.",
    ),
    "QMTL-900": Entry(
        "Something failed that was not foreseen, or a newer server tells a code unknown here.",
        "an answer that is no problem document",
        "Read the message; if it is a bug, report it.",
    ),
    "QMTL-901": Entry(
        "Redis, the graph, Kafka or QMTL's own server cannot be reached; `service` says which.",
        "`qmtl status` while no server runs",
        "Start it (`qmtl up`), or wait: what can be tried again is.",
    ),
    "QMTL-902": Entry(
        "The process that runs strategies could not be started, or did not answer as it must.",
        "a machine that has no process left to give",
        "Look at the worker's log.",
    ),
    "QMTL-903": Entry(
        "A server answered with a refusal that asking again does not change; `service` says which.",
        "a wrong `QMTL_GRAPH_PASSWORD`",
        "Mend what the message names: a password, a right, or a setting of that server.",
    ),
}  # fmt: skip
