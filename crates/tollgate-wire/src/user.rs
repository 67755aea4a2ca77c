//! What a collector answers JEM and JIMM: acknowledgements and meter statuses by user.

use std::collections::BTreeMap;

/// A collector's answer to a POST by JEM or JIMM. Go: `metrics.UserStatusResponse`.
///
/// ```json
#[doc = include_str!("../golden/examples/user-status-response.json")]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserStatusResponse {
    /// The answer's own id. JSON `uuid`.
    pub uuid: String,
    /// By user; `None` is JSON `null`. JSON `user-responses`.
    pub user_responses: Option<UserResponses>,
}

/// The answers by user name. Go: `metrics.UserResponses`.
///
/// ```json
#[doc = include_str!("../golden/examples/user-responses.json")]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserResponses(pub BTreeMap<String, UserResponse>);

/// The answer for one user. Go: `metrics.UserResponse`.
///
/// ```json
#[doc = include_str!("../golden/examples/user-response.json")]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserResponse {
    /// Where the user stands. JSON `status`.
    pub status: MeterStatus,
    /// The ids of the batches that are recorded. Absent from the JSON when empty. JSON `acks`.
    pub acks: Vec<String>,
}

/// Where somebody or something stands. Go: `metrics.MeterStatus`.
///
/// ```json
#[doc = include_str!("../golden/examples/meter-status.json")]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeterStatus {
    /// The status word. JSON `status`.
    pub status: String,
    /// A sentence for people. JSON `info`.
    pub info: String,
}
