"""The warm transfer of a call: a person is dialled, briefed, asked, and joined with the caller; or not."""
