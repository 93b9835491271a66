import socket

from qmtl.stack.ports import choose, is_free


def test_the_preferred_port_is_kept_while_nobody_listens_on_it():
    port = choose()

    assert choose(preferred=port) == port


def test_a_port_that_somebody_listens_on_is_not_chosen():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        assert not is_free(port)
        assert choose(preferred=port) != port


def test_a_port_that_was_promised_is_not_given_out_again():
    port = choose()

    assert choose(preferred=port, taken={port}) != port


def test_chosen_ports_lie_below_those_of_outgoing_connections():
    assert 20_000 <= choose() < 32_000
