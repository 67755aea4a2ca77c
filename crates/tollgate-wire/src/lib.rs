//! Juju's metering wire format, byte for byte.
mod batch; mod number; mod response; mod status; mod time; mod user; mod view;
pub use batch::{Metric, MetricBatch};
pub use number::Nanoseconds;
pub use response::{EnvResponse, EnvironmentResponses, ModelStatus, Response, UnitStatus};
pub use status::{Status, UnknownStatus};
pub use time::Timestamp;
pub use user::{MeterStatus, UserResponse, UserResponses, UserStatusResponse};
pub use view::{Base64Ref, BatchRef, Labels, MetricRef};
