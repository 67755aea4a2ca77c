//! Connections to other hosts are encrypted, and the server is the one that was named.

use tollgate_ledger::chain;
use tollgate_ledger_postgres::cluster::Cluster;
use tollgate_ledger_postgres::{Options, PostgresLedger};

/// Gives a running server a certificate for `localhost` that it signed itself, and says what that is.
fn turn_tls_on(cluster: &Cluster) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("make a certificate");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let put = |name: &str, text: &str| {
        let path = cluster.folder().join("data").join(name);
        let put = format!(
            "COPY (SELECT string_to_table('{}', E'\\n')) TO PROGRAM 'umask 077; cat > {}'",
            text.trim(),
            path.display()
        );
        cluster.psql(&put).expect("have the server write a file");
    };
    put("server.crt", &certificate);
    put("server.key", &key);
    cluster.psql("ALTER SYSTEM SET ssl = on").expect("turn TLS on");
    cluster.psql("SELECT pg_reload_conf()").expect("reload the configuration");
    certificate
}

#[test]
fn only_the_server_that_was_named_is_talked_to() {
    let cluster = Cluster::start(&["listen_addresses=localhost"]).expect("start PostgreSQL");
    let certificate = turn_tls_on(&cluster);
    let trusted = cluster.folder().join("trusted.pem");
    std::fs::write(&trusted, certificate).expect("write the certificate");
    let open = |host: &str, parameters: &str| {
        let url = format!("postgres://tollgate@{host}:{}/postgres?{parameters}", cluster.port());
        PostgresLedger::open(&url, Options::default()).map(drop).map_err(|error| chain(&error))
    };
    let trust = format!("sslmode=verify-full&sslrootcert={}", trusted.display());

    let refusal = open("localhost", "sslmode=verify-full").expect_err("nobody vouches for it");
    assert!(refusal.contains("invalid peer certificate"), "{refusal}");
    open("localhost", &trust).expect("the one that was named");
    let refusal = open("127.0.0.1", &trust).expect_err("another name");
    assert!(refusal.contains("not valid for name"), "{refusal}");
    open("localhost", "sslmode=disable").expect("without TLS when asked for");

    cluster.psql("ALTER SYSTEM SET ssl = off").expect("turn TLS off");
    cluster.psql("SELECT pg_reload_conf()").expect("reload the configuration");
    let refused_in_time = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        open("localhost", &trust).is_err()
    });
    assert!(refused_in_time, "without TLS there is no connection");
}
