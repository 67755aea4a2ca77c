//! tollgate-collector
