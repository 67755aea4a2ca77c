//! How much was used, as operators ask for it.

use serde_json::{Value, json};
use tollgate_collector::Settings;

use crate::harness::{Client, Running};

fn batch(model: &str, uuid: &str, unit: &str, metrics: &[(&str, &str, &str, Value)]) -> Value {
    let metrics: Vec<Value> = metrics
        .iter()
        .map(|(key, value, time, labels)| json!({"key": key, "value": value, "time": time, "labels": labels}))
        .collect();
    json!({
        "uuid": uuid, "env-uuid": model, "model-name": format!("bob/{model}"), "unit-name": unit,
        "charm-url": "ch:web-1", "metrics": metrics,
    })
}

/// A collector with readings of two models over two days, late ones among them.
async fn used() -> Running {
    let running = Running::with(Settings::for_testing()).await;
    let gold = || json!({"tier": "gold"});
    let batches = json!([
        batch(
            "m",
            "1",
            "web/0",
            &[
                ("requests", "0.1", "2026-11-02T23:30:00Z", Value::Null),
                ("requests", "0.2", "2026-11-01T00:00:00Z", gold()),
                ("stored", "5", "2026-11-01T00:00:00Z", Value::Null),
            ]
        ),
        batch("m", "2", "web/1", &[("requests", "1e3", "2026-11-01T12:00:00+01:00", Value::Null)]),
        batch("n", "1", "web/0", &[("requests", "7", "2026-11-02T23:59:59.999Z", Value::Null)]),
    ]);
    assert_eq!(running.post("/metrics", batches.to_string()).await.acks("m"), ["1", "2"]);
    // A copy counts once.
    assert_eq!(running.post("/metrics", batches.to_string()).await.acks("n"), ["1"]);
    running
}

async fn rows(running: &Running, query: &str) -> Vec<Value> {
    let answer = running.get(&format!("/api/v1/usage{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    let page = answer.json();
    assert_eq!(page["next_cursor"], Value::Null);
    page["rows"].as_array().expect("rows").clone()
}

#[tokio::test]
async fn usage_is_told_by_window_meter_and_group() {
    let running = used().await;
    assert_eq!(
        rows(&running, "").await,
        [
            json!({"start": "2026-11-01T00:00:00Z", "end": "2026-11-03T00:00:00Z", "meter": "requests", "value": "1007.3", "count": "4"}),
            json!({"start": "2026-11-01T00:00:00Z", "end": "2026-11-03T00:00:00Z", "meter": "stored", "value": "5", "count": "1"}),
        ]
    );
    assert_eq!(
        rows(&running, "?meter=requests&window=day&group_by=model,label.tier&from=2026-11-01T00:00:00Z&to=2026-11-03T00:00:00Z").await,
        [
            json!({"start": "2026-11-01T00:00:00Z", "end": "2026-11-02T00:00:00Z", "meter": "requests", "model": "m", "label.tier": "", "value": "1000", "count": "1"}),
            json!({"start": "2026-11-01T00:00:00Z", "end": "2026-11-02T00:00:00Z", "meter": "requests", "model": "m", "label.tier": "gold", "value": "0.2", "count": "1"}),
            json!({"start": "2026-11-02T00:00:00Z", "end": "2026-11-03T00:00:00Z", "meter": "requests", "model": "m", "label.tier": "", "value": "0.1", "count": "1"}),
            json!({"start": "2026-11-02T00:00:00Z", "end": "2026-11-03T00:00:00Z", "meter": "requests", "model": "n", "label.tier": "", "value": "7", "count": "1"}),
        ]
    );
    assert_eq!(
        rows(
            &running,
            "?meter=requests&window=month&group_by=user&tz=Europe/Berlin&unit=web/0&charm=ch:web-1"
        )
        .await,
        [
            json!({"start": "2026-11-01T00:00:00+01:00", "end": "2026-12-01T00:00:00+01:00", "meter": "requests", "user": "bob", "value": "7.3", "count": "3"})
        ]
    );
    // Half-open, and clipped to what was asked for.
    assert_eq!(
        rows(
            &running,
            "?model=m&meter=requests&window=week&from=2026-11-01T11:00:00Z&to=2026-11-02T23:00:00Z"
        )
        .await,
        [
            json!({"start": "2026-11-01T11:00:00Z", "end": "2026-11-02T00:00:00Z", "meter": "requests", "value": "1000", "count": "1"})
        ]
    );
    assert_eq!(rows(&running, "?label.tier=gold&user=bob").await[0]["value"], "0.2");
    assert_eq!(rows(&running, "?user=carol").await, [] as [Value; 0]);
    assert_eq!(rows(&running, "?meter=requests&aggregate=mean&across=max").await[0]["value"], "1000");
    assert_eq!(rows(&running, "?meter=requests&from=2026-11-02T23:00:00%2B00:00").await[0]["value"], "7.1");
}

#[tokio::test]
async fn csv_is_for_spreadsheets_and_safe_in_them() {
    let running = used().await;
    let evil = batch("=HYPERLINK(1)", "1", "web/0", &[("@sum", "1", "2026-11-01T00:00:00Z", Value::Null)]);
    running.post("/metrics", json!([evil]).to_string()).await;
    let mut client = Client::connect(running.admin).await;
    let query = "/api/v1/usage?group_by=model&meter=%40sum";
    let answer = client.request("GET", query, &["accept: text/csv"], b"").await;
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        answer.text(),
        "start,end,meter,model,value,count\n\
         2026-11-01T00:00:00Z,2026-11-01T01:00:00Z,'@sum,'=HYPERLINK(1),1,1\n"
    );
    let models = running.get("/api/v1/models?format=csv").await;
    assert!(models.text().starts_with("model_uuid,model_name,user,n_units,n_batches,"), "{}", models.text());
    assert!(
        models.text().contains("\nm,bob/m,bob,2,2,0001-01-01T00:00:00Z,requests,3,1000.3\n"),
        "{}",
        models.text()
    );
    let batches = running.get("/api/v1/batches?format=csv&limit=1").await;
    assert_eq!(batches.text().lines().count(), 2);
    assert!(batches.header("next-cursor").is_some());
}

#[tokio::test]
async fn pages_of_usage_follow_one_another() {
    let running = used().await;
    let all = rows(&running, "?window=hour&group_by=model,unit").await;
    assert_eq!(all.len(), 5);
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/usage?window=hour&group_by=model&group_by=unit&limit=2{cursor}");
        let page = running.get(&path).await.json();
        found.extend(page["rows"].as_array().expect("rows").clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(found, all);
}

#[tokio::test]
async fn readings_that_come_between_two_pages_lose_no_row() {
    let running = used().await;
    let path = "/api/v1/usage?group_by=model,unit&limit=3";
    let first = running.get(path).await.json();
    let early = batch("n", "2", "web/0", &[("requests", "1", "2020-01-01T00:00:00Z", Value::Null)]);
    assert_eq!(running.post("/metrics", json!([early]).to_string()).await.acks("n"), ["2"]);
    let cursor = first["next_cursor"].as_str().expect("another page");
    let second = running.get(&format!("{path}&cursor={cursor}")).await.json();
    let models: Vec<&Value> =
        [&first, &second].iter().flat_map(|page| page["rows"].as_array().expect("rows")).collect();
    let names: Vec<String> =
        models.iter().map(|row| format!("{}{}{}", row["meter"], row["model"], row["unit"])).collect();
    assert_eq!(
        names.join(" ").replace('"', " ").split_whitespace().collect::<Vec<_>>().join(" "),
        "requests m web/0 requests m web/1 requests n web/0 stored m web/0"
    );
}

#[tokio::test]
async fn readings_without_a_time_can_be_left_out_where_a_zone_had_odd_offsets() {
    let running = used().await;
    let timeless = json!([{"uuid": "3", "env-uuid": "m", "metrics": [{"key": "requests", "value": "1"}]}]);
    assert_eq!(running.post("/metrics", timeless.to_string()).await.acks("m"), ["3"]);
    let query = "?window=month&meter=requests&tz=Europe/Berlin";
    let problem = running.get(&format!("/api/v1/usage{query}")).await.problem(400, "bad-parameter");
    let detail = problem["detail"].as_str().expect("a text");
    assert!(detail.contains("at 0001-01-01T00:00:00Z it is +00:53:28 from UTC"), "{detail}");
    assert!(detail.ends_with("from and to can leave out the readings at that time."), "{detail}");
    let rows = rows(&running, &format!("{query}&from=2026-01-01T00:00:00Z")).await;
    assert_eq!(rows[0]["value"], "1007.3");
}

#[tokio::test]
async fn a_cursor_is_for_the_question_that_gave_it() {
    let running = used().await;
    let page = running.get("/api/v1/usage?group_by=model&limit=1").await.json();
    let cursor = page["next_cursor"].as_str().expect("another page");
    let again = |query: &str| format!("/api/v1/usage?{query}&cursor={cursor}");
    assert_eq!(running.get(&again("group_by=model&limit=9")).await.status, 200);
    for other in ["group_by=unit", "group_by=model&window=day", "group_by=model&tz=Europe/Berlin"] {
        running.get(&again(other)).await.problem(400, "bad-parameter");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_refused_with_what_is() {
    let running = used().await;
    for (query, expected) in [
        ("color=red", "\"color\" is no parameter: there are meter, model, unit"),
        ("label.=x", "\"label.\" is no parameter"),
        ("meter=a&meter=b", "meter is given twice"),
        ("window=year", "Failed to use the window \"year\": it is hour, day, week, month or total."),
        ("group_by=color", "Failed to group by \"color\": it is model, unit, charm, user or label.NAME."),
        ("group_by=model,model", "group_by has model twice"),
        ("aggregate=avg", "it is sum, count, min, max, mean or last"),
        ("across=all", "it is sum, min or max"),
        ("from=yesterday", "from \"yesterday\" is no RFC 3339 time"),
        ("to=2026-11-01T00:30:00Z", "is not the beginning of an hour of UTC"),
        ("from=2026-11-02T00:00:00Z&to=2026-11-02T00:00:00Z", "from is not before to"),
        ("tz=Mars/Olympus", "the IANA database has none of this name"),
        ("tz=Asia/Kolkata&window=day", "which is not a whole number of hours"),
        ("limit=0", "limit 0 is outside 1 to 100000"),
        ("limit=100001", "limit 100001 is outside 1 to 100000"),
        ("cursor=5", "cursor is not one that this very question gave"),
        ("cursor=5b5d", "cursor is not one that this very question gave"),
        ("format=xml", "format \"xml\" is neither json nor csv"),
    ] {
        let problem = running.get(&format!("/api/v1/usage?{query}")).await.problem(400, "bad-parameter");
        let detail = problem["detail"].as_str().expect("a text");
        assert!(detail.contains(expected), "{query}: {detail}");
    }
}
