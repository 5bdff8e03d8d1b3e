"""What the gateway counts, for `/metrics`; labels are closed vocabularies, never addresses or texts."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

ACCEPTED = Counter("gateway_accepted_total", "Inbound messages stored", ["channel", "result"])
TURNS_DUE = Counter(
    "gateway_turns_due_total",
    "Inbound messages that a turn is to answer; not those that wait for a person",
    ["channel"],
)
TURNS = Counter("gateway_turns_total", "Turns by how they ended", ["channel", "outcome"])
TURNS_BRAKED = Counter(
    "gateway_turns_braked_total", "Bells that were answered by no turn because of a pause or a daily cap"
)
TURN_SECONDS = Histogram("gateway_turn_seconds", "From claim to commit", ["channel"], buckets=_SECONDS)
FIRST_WORD_SECONDS = Histogram(
    "gateway_call_first_word_seconds",
    "From what a caller has said to the first word of the answer that is sent, where words are streamed",
    buckets=_SECONDS,
)
SENDS = Counter("gateway_sends_total", "Attempts to hand a part to a provider", ["channel", "outcome"])
REPEATED = Counter(
    "gateway_sends_repeated_total",
    "Parts sent again after an outcome that could not be learnt: possibly twice",
    ["channel"],
)
RECONCILED = Counter(
    "gateway_sends_reconciled_total",
    "Attempts whose outcome was not learnt, by what was found: taken, missing (sent again), given_up",
    ["channel", "result"],
)
DOUBLED = Counter(
    "gateway_sends_doubled_total",
    "Parts sent again whose earlier attempt turned out to have been taken: certainly twice",
    ["provider"],
)
SUMMARIES = Counter(
    "gateway_summaries_total",
    "Summaries of conversations that are over: made, failed (tried again later), quoted (given up)",
    ["result"],
)
CALLS_MADE = Counter("gateway_calls_made_total", "Calls that we begin, by what they have come to", ["state"])
CALLS_DOUBLED = Counter(
    "gateway_calls_doubled_total",
    "Calls dialled again whose earlier attempt turned out to have been taken",
    ["provider"],
)
UNCONFIRMED = Counter("gateway_parts_unconfirmed_total", "Parts of which no receipt ever told the end")
UNANSWERED = Counter(
    "gateway_unanswered_total", "Inbound messages that the agent is not asked about", ["channel", "reason"]
)
MEDIA = Counter("gateway_media_total", "Files fetched from providers", ["provider", "outcome"])
HOST_EVENTS_LEFT_OUT = Counter(
    "gateway_host_events_left_out_total",
    "Events of voice hosts of which nothing came: their call was over (late), is another host's (foreign),"
    " was never taken (unknown), or was refused for the id of one that goes on (rival)",
    ["kind", "reason"],
)
RECEIPTS = Counter("gateway_receipts_total", "What providers reported later", ["provider", "state"])
REPORTS = Counter("gateway_mail_reports_total", "Reports about mail of ours", ["kind"])
PAUSED = Gauge("gateway_paused", "Pauses in force, as last looked at", ["scope"])
CAP_REACHED = Gauge("gateway_cap_reached", "Whether a day's cap is reached, as last looked at", ["cap"])
USED_TODAY = Gauge("gateway_used_today", "What was used today (UTC), where something has a cap", ["what"])
WEBHOOKS = Counter("gateway_webhooks_total", "Attempts to tell an endpoint an event", ["outcome"])
RELAYED = Counter("gateway_relayed_total", "Outbox rows published", ["result"])
TIMERS_FAILED = Counter(
    "gateway_timer_failures_total",
    "Looks of a timer in which something could not be worked off; not those for which the database was away",
    ["timer"],
)
SPOOLED = Counter("gateway_spooled_total", "Entries for the ingress spool", ["kind", "result"])
REPLAYED = Counter("gateway_spool_replayed_total", "Entries taken from the spool", ["kind", "result"])
SPOOL_WAITING = Gauge("gateway_spool_entries", "Entries waiting in this process's part of the spool")
WAITING = Gauge(
    "gateway_waiting",
    "What waits in the database, up to 10,000 of a kind, as last looked at: rows of the outbox, conversations"
    " with input, lines of deliveries, and dead letters that nobody has settled",
    ["what"],
)

for _metric in (ACCEPTED, TURNS_DUE, TURNS, TURN_SECONDS, SENDS, UNANSWERED, RECEIPTS, RELAYED):
    # Each message passes these. The library looks a series up under a lock, by texts it makes of the labels.
    _metric.labels = cache(_metric.labels)  # type: ignore[assignment, method-assign]
