-- Of a batch that came here from a ledger that had dropped of its body what counting does not need.
ALTER TABLE batches ADD COLUMN is_reduced boolean NOT NULL DEFAULT false;

-- A ledger that is moved into this one, and how far it is here: one row, changed in the transaction that adds what it says.
CREATE TABLE moved (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- The last group of that ledger, and the hash over all up to it.
    sequence bigint NOT NULL,
    chain bytea NOT NULL,
    -- So many batches, each with its number as its place.
    n_batches bigint NOT NULL,
    -- Until then there is no sequence `groups`, without which nothing else is recorded.
    is_whole boolean NOT NULL
);
