//! `tollgate credential inspect`: what a credential says, and whether that is true.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use tollgate_rules::{Claim, CredentialId, KeyRing, Macaroon, authorize, limits, verify};
use tollgate_wire::Timestamp;

use crate::exit::Exit;
use crate::words::printable;
use crate::{keys, output};

/// Shows what a credential says, and with --keys whether it was made with one of them.
///
/// With --model it also says whether it covers a batch of that model, unit and charm now. What a collector knows besides,
/// which credentials were revoked, is not known here.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate credential inspect credential.json
  tollgate credential inspect --keys keys --model $MODEL --unit metered/0 --charm ch:metered-7 credential.json
  curl -s http://127.0.0.1:8481/api/v1/batches/$MODEL/$BATCH | jq -r .credentials | tollgate credential inspect -

The input is the JSON of a macaroon or of a list of them, or that in base64, as batches carry it.

Exit codes: 0 it is a credential, and what was asked of it is so, 1 it is not, 2 wrong usage")]
pub(super) struct Args {
    /// The file with the credential; - is standard input.
    #[arg(value_name = "FILE|-", default_value = "-")]
    file: PathBuf,
    /// The file with the keys.
    #[arg(long, value_name = "FILE", env = "TOLLGATE_CREDENTIAL_KEYS_FILE", hide_env_values = true)]
    keys: Option<PathBuf>,
    /// The model of a batch.
    #[arg(long, value_name = "UUID", requires = "keys")]
    model: Option<String>,
    /// The unit of a batch.
    #[arg(long, value_name = "NAME", requires = "model", default_value = "")]
    unit: String,
    /// The charm of a batch.
    #[arg(long, value_name = "URL", requires = "model", default_value = "")]
    charm: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let keys = args.keys.as_deref().map(keys::read).transpose()?;
    let credentials = read(&args.file).with_context(|| format!("read {}", args.file.display()))?;
    let macaroons = Macaroon::parse(&credentials).context("read the credential")?;
    if macaroons.is_empty() {
        bail!("find a credential: there is none");
    }
    let mut out = output::stdout();
    let mut is_good = true;
    for macaroon in &macaroons {
        is_good &= show(&mut out, macaroon, keys.as_ref()).context("write what it says")?;
    }
    if let (Some(keys), Some(model_uuid)) = (&keys, &args.model) {
        let claim = Claim { model_uuid, unit_name: &args.unit, charm_url: &args.charm };
        #[expect(clippy::disallowed_methods, reason = "the edge: the clock is read once")]
        let now = Timestamp::from_system_time(SystemTime::now());
        let authorized = authorize(&credentials, keys, claim, now, |_| false);
        let answer = match &authorized {
            Ok(_) => "yes".to_owned(),
            Err(refusal) => format!("no: {}", printable(&refusal.to_string())),
        };
        writeln!(out, "covers it   {answer}").context("write what it covers")?;
        is_good &= authorized.is_ok();
    }
    out.flush().context("write what it says")?;
    Ok(if is_good { Exit::Ok } else { Exit::Failed })
}

/// Shows one macaroon, and says whether nothing is wrong with it.
fn show(out: &mut impl Write, macaroon: &Macaroon, keys: Option<&KeyRing>) -> io::Result<bool> {
    let id = match CredentialId::of(macaroon) {
        Ok(id) => id,
        Err(error) => {
            writeln!(out, "credential  none of Tollgate's: {error}")?;
            writeln!(out, "location    {}", printable(macaroon.location()))?;
            writeln!(out, "identifier  {}", printable(macaroon.identifier()))?;
            return Ok(false);
        }
    };
    writeln!(out, "credential  {}", id.credential_id)?;
    writeln!(out, "key         {}", printable(&id.key_id))?;
    let verified = keys.map(|keys| verify(macaroon, keys));
    let (signature, is_good) = match &verified {
        None => ("not checked: --keys names the file to check it with".to_owned(), true),
        Some(Ok(_)) => ("good".to_owned(), true),
        Some(Err(refusal)) => (format!("bad: {}", printable(&refusal.to_string())), false),
    };
    writeln!(out, "signature   {signature}")?;
    for (index, caveat) in macaroon.caveats().iter().enumerate() {
        let by_whom = if index < id.n_caveats { "" } else { "  (added by a holder)" };
        writeln!(out, "condition   {}{by_whom}", printable(caveat))?;
    }
    Ok(is_good)
}

/// The bytes of the macaroon's JSON, which may come in base64.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Base64 is longer by a third; one more than is allowed is enough to be refused.
    let bytes_max = 2 * limits::CREDENTIAL_BYTES_MAX as u64;
    if path == Path::new("-") {
        io::stdin().take(bytes_max).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    }
    let text = bytes.trim_ascii();
    let is_json = text.is_empty() || matches!(text.first(), Some(b'{' | b'[' | b'"' | b'n'));
    Ok(if is_json { bytes } else { base64_simd::STANDARD.decode_to_vec(text).unwrap_or(bytes) })
}
