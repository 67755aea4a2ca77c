//! Where fuzzing starts from: the documents, values and macaroons of the golden files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::fuzz::Target;
use crate::workspace::Workspace;

#[derive(Deserialize)]
struct Vector {
    r#type: String,
    input_base64: String,
}

#[derive(Deserialize)]
struct Macaroon {
    json_v1: String,
    json_v2: String,
    binary_v1_base64: String,
    binary_v2_base64: String,
}

#[derive(Deserialize)]
struct Spelling {
    text: String,
}

/// Writes the seeds of a target into its corpus, beside what earlier runs found, and says how many there are.
///
/// # Errors
///
/// When a golden file cannot be read or the corpus cannot be written.
pub(crate) fn write(workspace: &Workspace, target: Target, corpus: &Path) -> Result<usize> {
    let golden = |path: &str| workspace.root.join("crates").join(path);
    let seeds = match target {
        Target::Batches => documents(&golden("tollgate-wire/golden/vectors.jsonl"), &["metric-batches"])?,
        Target::Credential => {
            let macaroons: Vec<Macaroon> = lines(&golden("tollgate-rules/golden/macaroons.jsonl"))?;
            macaroons.into_iter().flat_map(forms).map(String::into_bytes).collect()
        }
        Target::Response => {
            documents(&golden("tollgate-wire/golden/vectors.jsonl"), &["response", "user-status-response"])?
        }
        Target::Value => {
            let spellings: Vec<Spelling> = lines(&golden("tollgate-rules/golden/values.jsonl"))?;
            spellings.into_iter().map(|spelling| spelling.text.into_bytes()).collect()
        }
    };
    fs::create_dir_all(corpus).with_context(|| format!("make the folder {}", corpus.display()))?;
    for (index, seed) in seeds.iter().enumerate() {
        let path = corpus.join(format!("golden-{index:04}"));
        fs::write(&path, seed).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(seeds.len())
}

fn forms(macaroon: Macaroon) -> [String; 4] {
    let Macaroon { json_v1, json_v2, binary_v1_base64, binary_v2_base64 } = macaroon;
    [json_v1, json_v2, format!("\"{binary_v1_base64}\""), format!("\"{binary_v2_base64}\"")]
}

fn documents(path: &Path, types: &[&str]) -> Result<Vec<Vec<u8>>> {
    let vectors: Vec<Vector> = lines(path)?;
    vectors
        .into_iter()
        .filter(|vector| types.contains(&vector.r#type.as_str()))
        .map(|vector| base64_simd::STANDARD.decode_to_vec(vector.input_base64))
        .collect::<Result<_, _>>()
        .with_context(|| format!("decode the base64 in {}", path.display()))
}

fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    text.lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .with_context(|| format!("read the lines of {}", path.display()))
}
