from qmtl.common.redis.keys import Keys


def test_a_key_carries_its_cell_as_hash_tag() -> None:
    assert Keys("main")("exec", "ab12") == "qmtl:{main}:exec:ab12"


def test_keys_of_two_cells_never_meet() -> None:
    assert Keys("a")("due") != Keys("b")("due")
