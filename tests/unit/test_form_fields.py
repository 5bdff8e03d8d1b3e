"""Forms are read as the standard library reads them."""

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.webhooks import form_fields

PIECES = st.text(st.sampled_from("ab=&+%;é 2BfF\x00"), max_size=20)


@given(PIECES)
def test_module_reads_what_the_standard_library_reads(form: str) -> None:
    try:
        expected = parse_qsl(form, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        with pytest.raises(UnicodeDecodeError):
            form_fields(form)
    else:
        assert form_fields(form) == tuple(expected)


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=20))))
def test_property_what_was_written_is_read(fields: list[tuple[str, str]]) -> None:
    assert form_fields(urlencode(fields)) == tuple(fields)
