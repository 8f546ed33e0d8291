-- The time of the server, which all replicas share.
CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
    $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

CREATE FUNCTION now_us() RETURNS bigint LANGUAGE sql VOLATILE AS
    $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint $$;

-- Sessions, stored responses and conversations, reasoning, idempotency records and virtual keys, as
-- the ordered map that all backends without a query language share. Not an interface.
CREATE TABLE state (
    key bytea PRIMARY KEY,
    value bytea NOT NULL
);

-- The usage ledger: a row for each day, client, model, provider and outcome, under a digest of these.
-- All columns but the first three are members of the third.
CREATE TABLE usage_daily (
    key bytea PRIMARY KEY,
    day_number integer NOT NULL,
    totals jsonb NOT NULL,
    day date GENERATED ALWAYS AS (date '1970-01-01' + day_number) STORED,
    client text GENERATED ALWAYS AS (totals ->> 'client') STORED,
    model text GENERATED ALWAYS AS (totals ->> 'model') STORED,
    provider text GENERATED ALWAYS AS (totals ->> 'provider') STORED,
    outcome text GENERATED ALWAYS AS (totals ->> 'outcome') STORED,
    requests numeric GENERATED ALWAYS AS ((totals ->> 'requests')::numeric) STORED,
    input_tokens numeric
        GENERATED ALWAYS AS ((totals -> 'usage' ->> 'input')::numeric) STORED,
    cache_read_tokens numeric
        GENERATED ALWAYS AS ((totals -> 'usage' ->> 'cache_read')::numeric) STORED,
    cache_write_tokens numeric
        GENERATED ALWAYS AS ((totals -> 'usage' ->> 'cache_write')::numeric
            + (totals -> 'usage' ->> 'cache_write_1h')::numeric) STORED,
    output_tokens numeric
        GENERATED ALWAYS AS ((totals -> 'usage' ->> 'output')::numeric) STORED,
    reasoning_tokens numeric
        GENERATED ALWAYS AS ((totals -> 'usage' ->> 'reasoning')::numeric) STORED,
    cost_usd numeric
        GENERATED ALWAYS AS ((totals ->> 'cost')::numeric / 1000000000) STORED,
    unpriced_requests numeric
        GENERATED ALWAYS AS ((totals ->> 'unpriced')::numeric) STORED,
    estimated_requests numeric
        GENERATED ALWAYS AS ((totals ->> 'estimated')::numeric) STORED
);
CREATE INDEX usage_daily_day ON usage_daily (day_number);

-- Requests in progress whose usage is not final.
CREATE TABLE open_requests (
    client text NOT NULL,
    id text NOT NULL,
    run text NOT NULL,
    at bigint NOT NULL,
    admitted jsonb NOT NULL,
    PRIMARY KEY (client, id)
);
CREATE INDEX open_requests_run ON open_requests (run);
CREATE INDEX open_requests_at ON open_requests (at);

-- The processes that write the ledger: the last batch of each, and its lease.
CREATE TABLE ledger_runs (
    run text PRIMARY KEY,
    batch bigint NOT NULL DEFAULT 0,
    leased_until bigint NOT NULL
);

-- The request log. All columns but the first four are members of the fourth.
CREATE TABLE request_log (
    at bigint NOT NULL,
    writer bigint NOT NULL,
    row_number bigint NOT NULL,
    details jsonb NOT NULL,
    ended_at timestamptz
        GENERATED ALWAYS AS (to_timestamp((details ->> 'at')::float8 / 1000)) STORED,
    id text GENERATED ALWAYS AS (details ->> 'id') STORED,
    client text GENERATED ALWAYS AS (details ->> 'client') STORED,
    tenant text GENERATED ALWAYS AS (details ->> 'tenant') STORED,
    user_id text GENERATED ALWAYS AS (details ->> 'user') STORED,
    model text GENERATED ALWAYS AS (details ->> 'model') STORED,
    provider text GENERATED ALWAYS AS (details ->> 'provider') STORED,
    outcome text GENERATED ALWAYS AS (details ->> 'outcome') STORED,
    input_tokens numeric
        GENERATED ALWAYS AS ((details -> 'usage' ->> 'input')::numeric) STORED,
    output_tokens numeric
        GENERATED ALWAYS AS ((details -> 'usage' ->> 'output')::numeric) STORED,
    cost_usd numeric
        GENERATED ALWAYS AS ((details ->> 'cost')::numeric / 1000000000) STORED,
    duration_ms numeric GENERATED ALWAYS AS ((details ->> 'duration_ms')::numeric) STORED,
    PRIMARY KEY (at, writer, row_number)
);
CREATE INDEX request_log_id ON request_log (id);
CREATE INDEX request_log_tenant ON request_log (tenant, at DESC);

-- The number of rows of the request log, in one row, which also orders its writers.
CREATE TABLE request_log_size (
    requests bigint NOT NULL
);
INSERT INTO request_log_size VALUES (0);

-- Rate limits, concurrency limits and budgets, with the leases of each replica.
CREATE TABLE quotas (
    key bytea PRIMARY KEY,
    limits text NOT NULL,
    idle_from_us bigint NOT NULL
);

CREATE TABLE replicas (
    holder text PRIMARY KEY,
    seen bigint NOT NULL
);

-- The response cache. A crash of the server empties it.
CREATE UNLOGGED TABLE cache (
    key bytea PRIMARY KEY,
    value bytea NOT NULL,
    expires bigint NOT NULL
);
CREATE INDEX cache_expires ON cache (expires);
