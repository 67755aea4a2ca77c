//! A ledger in PostgreSQL keeps the contract, whether or not something folds beside.

use std::sync::atomic::{AtomicUsize, Ordering};

use tollgate_ledger::{Ledger, conformance};
use tollgate_ledger_postgres::cluster::Cluster;
use tollgate_ledger_postgres::{Options, PostgresLedger};

/// A server or a cluster that is given: the suite runs on it as well.
const GIVEN: &str = "TOLLGATE_TEST_POSTGRES";

fn check_conforms(url: &str, options: Options) {
    static N_SCHEMAS: AtomicUsize = AtomicUsize::new(0);
    let create = || {
        let n = N_SCHEMAS.fetch_add(1, Ordering::SeqCst);
        let mark = if url.contains('?') { '&' } else { '?' };
        format!("{url}{mark}schema=conformance_{}_{n}", std::process::id())
    };
    let open = |url: &String| -> Ledger { PostgresLedger::open(url, options).expect("open a ledger").0 };
    conformance::run(create, open);
}

#[test]
fn it_conforms() {
    let cluster = Cluster::start(&[]).expect("start PostgreSQL");
    check_conforms(&cluster.url(), Options::default());
}

#[test]
fn it_conforms_while_nothing_is_folded() {
    let cluster = Cluster::start(&[]).expect("start PostgreSQL");
    check_conforms(&cluster.url(), Options { folds: false, ..Options::default() });
}

#[test]
fn it_conforms_where_one_is_given() {
    match std::env::var(GIVEN) {
        Ok(url) => check_conforms(&url, Options::default()),
        Err(_) => println!("{GIVEN} names no server: the suite ran on one of our own alone"),
    }
}
