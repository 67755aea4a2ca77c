-- Everything has the model in its key, so that each statement about one batch is about one shard.
--
-- An id is stored as one byte that names its form and the id itself: 01 and sixteen bytes for a uuid in its canonical
-- spelling, 00 and the bytes of the string for any other. A text has U+0001 U+0001 in the place of NUL, which PostgreSQL
-- does not take, and U+0001 U+0002 in the place of U+0001, so that the order of the bytes stays what it was.

-- Every recorded batch, for ever.
CREATE TABLE batches (
    model bytea NOT NULL,
    batch bytea NOT NULL,
    -- Where it is in the order of recording: the group's number and, in the lowest 20 bits, its place in the group.
    place bigint NOT NULL,
    -- Half of the BLAKE3 of the body as it was recorded.
    digest bytea NOT NULL,
    received timestamptz NOT NULL,
    unit text COLLATE "C" NOT NULL,
    -- The canonical JSON.
    body bytea NOT NULL,
    PRIMARY KEY (model, batch)
);
CREATE INDEX batches_of_model ON batches (model, place);
CREATE INDEX batches_in_order ON batches (place);

-- What the batches of one model in one transaction come to, until it is folded into the tables below.
CREATE TABLE deltas (
    model bytea NOT NULL,
    place bigint NOT NULL,
    uuid text COLLATE "C" NOT NULL,
    n_batches bigint NOT NULL,
    n_metrics bigint NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (model, place)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

CREATE TABLE models (
    model bytea NOT NULL,
    uuid text COLLATE "C" NOT NULL,
    n_batches bigint NOT NULL,
    n_metrics bigint NOT NULL,
    -- Of the batch that was created last; of several, the one recorded last.
    name text COLLATE "C" NOT NULL,
    created text COLLATE "C" NOT NULL,
    created_second bigint NOT NULL,
    created_nanosecond integer NOT NULL,
    created_place bigint NOT NULL,
    PRIMARY KEY (model)
);
CREATE INDEX models_in_order ON models (uuid);

CREATE TABLE units (
    model bytea NOT NULL,
    unit text COLLATE "C" NOT NULL,
    PRIMARY KEY (model, unit)
);

CREATE TABLE series (
    model bytea NOT NULL,
    -- Half of the BLAKE3 of what follows.
    series bytea NOT NULL,
    unit text COLLATE "C" NOT NULL,
    charm text COLLATE "C" NOT NULL,
    meter text COLLATE "C" NOT NULL,
    labels text COLLATE "C" NOT NULL,
    PRIMARY KEY (model, series)
);

-- What the readings of one series on one UTC day come to.
CREATE TABLE usage (
    model bytea NOT NULL,
    -- Since 1970-01-01.
    day integer NOT NULL,
    series bytea NOT NULL,
    meter text COLLATE "C" NOT NULL,
    n_readings bigint NOT NULL,
    sum numeric NOT NULL,
    min numeric NOT NULL,
    max numeric NOT NULL,
    -- The same by hour, with first and last.
    hours bytea NOT NULL,
    n_folds bigint NOT NULL,
    PRIMARY KEY (model, day, series)
) WITH (fillfactor = 80);

CREATE TABLE totals (
    model bytea NOT NULL,
    meter text COLLATE "C" NOT NULL,
    n_readings bigint NOT NULL,
    sum numeric NOT NULL,
    PRIMARY KEY (model, meter)
) WITH (fillfactor = 80);

CREATE TABLE quarantine (
    model bytea NOT NULL,
    batch bytea NOT NULL,
    -- Half of the BLAKE3 of the whole element.
    digest bytea NOT NULL,
    id bigint NOT NULL,
    unit text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    received timestamptz NOT NULL,
    is_released boolean NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (model, batch, digest)
);
CREATE INDEX quarantine_in_order ON quarantine (id);

-- Statuses set by hand; the model's own has an empty unit. Times are as they were written.
CREATE TABLE statuses (
    model bytea NOT NULL,
    unit text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    info text COLLATE "C" NOT NULL,
    set_at text COLLATE "C" NOT NULL,
    expires_at text COLLATE "C",
    PRIMARY KEY (model, unit)
);

-- Who owns a model by the credential that was declared last.
CREATE TABLE declared (
    model bytea NOT NULL,
    owner text COLLATE "C" NOT NULL,
    PRIMARY KEY (model)
);

CREATE TABLE revoked (
    credential text COLLATE "C" NOT NULL,
    PRIMARY KEY (credential)
);

CREATE SEQUENCE groups;
CREATE SEQUENCE quarantine_ids;
