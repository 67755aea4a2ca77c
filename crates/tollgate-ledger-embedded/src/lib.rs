//! tollgate-ledger-embedded
