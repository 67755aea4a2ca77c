//! What is kept of an old batch: all that counts, and nothing that only opened a door.

use tollgate_rules::{Admitted, Digest, RecoverError};
use tollgate_wire::{Base64Ref, Document, to_vec};

/// What is left of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reduced {
    /// Of the canonical JSON as it was recorded.
    pub(crate) digest: Digest,
    /// The canonical JSON without the credentials.
    pub(crate) body: Vec<u8>,
}

/// Leaves the credentials out of a batch's canonical JSON; `None` when it has none, so that it stays whole.
///
/// # Errors
///
/// When it is no canonical JSON of a batch that counts.
pub(crate) fn reduce(body: &[u8]) -> Result<Option<Reduced>, RecoverError> {
    let digest = Admitted::from_canonical(body)?.digest();
    let array = [b"[", body, b"]"].concat();
    let document = Document::new(&array);
    let element = document.batches()?.into_iter().next().ok_or(RecoverError::NotCanonical)?;
    let mut batch = element.batch.map_err(|_| RecoverError::NotCanonical)?;
    let credentials = [&mut batch.credentials, &mut batch.reseller_credentials, &mut batch.sla_credentials];
    let mut has_some = false;
    for credential in credentials {
        has_some |= std::mem::take(credential) != Base64Ref::Null;
    }
    if !has_some {
        return Ok(None);
    }
    let body = to_vec(&batch).map_err(|_| RecoverError::NotCanonical)?;
    // It takes the place of the only other form.
    Admitted::from_canonical(&body)?;
    Ok(Some(Reduced { digest, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(credentials: &str, reseller: &str, sla: &str) -> String {
        let metric =
            r#"{"key":"p","value":"1.50","time":"2026-01-02T03:04:05Z","labels":{"a":"\u003cb\u003e"}}"#;
        format!(
            r#"{{"uuid":"b","env-uuid":"m","model-name":"o/n","unit-name":"u/0","charm-url":"ch:c-1","created":"2026-01-02T03:04:05Z","metrics":[{metric}],"credentials":{credentials},"reseller-credentials":{reseller},"sla-credentials":{sla}}}"#
        )
    }

    #[test]
    fn credentials_go_and_all_else_stays() {
        let bare = batch("null", "null", "null");
        for [credentials, reseller, sla] in
            [["\"AAAA\"", "null", "null"], ["null", "\"AAAA\"", "null"], ["\"\"", "\"AQ==\"", "\"AAAA\""]]
        {
            let whole = batch(credentials, reseller, sla);
            let digest = Digest::of(whole.as_bytes());
            let expected = Reduced { digest, body: bare.clone().into_bytes() };
            assert_eq!(reduce(whole.as_bytes()), Ok(Some(expected)));
        }
        assert_eq!(reduce(bare.as_bytes()), Ok(None), "nothing to drop");
        assert_eq!(reduce(b" {}"), Err(Admitted::from_canonical(b" {}").expect_err("no batch")));
    }
}
